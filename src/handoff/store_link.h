#pragma once

#include <functional>
#include <string>

namespace sc::handoff {

// The service manager's file descriptor store, as systemd/fd_store has it. Any thread.
struct StoreLink {
  // Asks the manager to keep a copy. False: it cannot even be asked. Whether it took it, it does
  // not say (sd_pid_notify_with_fds(3)).
  std::function<bool(const std::string& name, int fd)> put;
  std::function<void(const std::string& name)> remove;
};

// Names in the store. A capsule's is followed by its keeper's number and its own: `c0-17`.
constexpr const char* kTableName = "table";
constexpr const char* kCapsulePrefix = "c";
constexpr const char* kProbeName = "probe";

}  // namespace sc::handoff
