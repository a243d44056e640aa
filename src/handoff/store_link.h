#pragma once

#include <functional>
#include <string>

namespace sc::handoff {

// The service manager's file descriptor store, as systemd/fd_store has it. Any thread.
struct StoreLink {
  // Asks the manager to keep a copy, now or not at all. False: it cannot be asked now. Whether it
  // took the copy, it does not say (sd_pid_notify_with_fds(3)).
  std::function<bool(const std::string& name, int fd)> put;
  // Arrives in its turn, however long the manager does not read.
  std::function<void(const std::string& name)> remove;
  // As put, but arrives in its turn. False: the host or the manager takes no copy.
  std::function<bool(const std::string& name, int fd)> put_later;
  // The manager does not read its messages now; put() would fail. Costs no system call.
  std::function<bool()> is_busy;
};

// Names in the store. A capsule's is followed by its keeper's number and its own: `c0-17`.
constexpr const char* kTableName = "table";
constexpr const char* kCapsulePrefix = "c";
constexpr const char* kProbeName = "probe";

}  // namespace sc::handoff
