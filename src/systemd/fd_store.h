#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <span>
#include <string>
#include <string_view>

#include "base/fd.h"

namespace sc::systemd {

// In the manager's store our names begin with this, so that they are told from sockets' names.
constexpr std::string_view kStoredPrefix = "kept-";

// The service manager's file descriptor store: it holds copies over restarts of the service, also
// after kill -9, and passes them to the next process among LISTEN_FDS (systemd.service(5):
// FileDescriptorStoreMax=; sd_pid_notify_with_fds(3)). Any thread.
//
// It speaks the protocol of sd_notify(3) itself: libsystemd opens, widens and closes a socket for
// each message, seven calls to the kernel in place of one, and short sessions cause many.
class FdStore {
 public:
  // Whether there is somebody to ask: NOTIFY_SOCKET is set.
  static bool is_there();

  // For the manager that NOTIFY_SOCKET names, a path or `@` and an abstract name.
  FdStore();

  // Asks it to hold a copy. False: the message did not go out. That it was refused, as the store is
  // full or has no room at all, nobody tells. Waits while the manager has too many messages to
  // read.
  //
  // FDPOLL=0: by default the manager drops what shows a hang-up, as a half-closed connection does.
  bool put(const std::string& name, int fd) const;
  // All of that name.
  void remove(const std::string& name) const;

 private:
  bool send(const std::string& text, std::span<const int> fds) const;

  base::Fd socket_;  // none: nobody can be asked
  sockaddr_un manager_{};
  socklen_t size_ = 0;  // of manager_
};

}  // namespace sc::systemd
