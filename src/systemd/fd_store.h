#pragma once

#include <string>
#include <string_view>

namespace sc::systemd {

// In the manager's store our names begin with this, so that they are told from sockets' names.
constexpr std::string_view kStoredPrefix = "kept-";

// The service manager's file descriptor store: it holds copies over restarts of the service, also
// after kill -9, and passes them to the next process among LISTEN_FDS (systemd.service(5):
// FileDescriptorStoreMax=; sd_pid_notify_with_fds(3)). Any thread.
class FdStore {
 public:
  // Whether there is somebody to ask: NOTIFY_SOCKET is set.
  static bool is_there();

  // Asks it to hold a copy. False: the message did not go out. That it was refused, as the store is
  // full or has no room at all, nobody tells.
  //
  // FDPOLL=0: by default the manager drops what shows a hang-up, as a half-closed connection does.
  static bool put(const std::string& name, int fd);
  // All of that name.
  static void remove(const std::string& name);
};

}  // namespace sc::systemd
