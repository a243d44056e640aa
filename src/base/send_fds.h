#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <span>
#include <string_view>

namespace sc::base {

constexpr std::size_t kMostSentFds = 2;

// Sends bytes over a unix socket as one message and, with them, at most kMostSentFds descriptors
// (unix(7): SCM_RIGHTS), perhaps none; `to` where the socket is not connected. `flags`: of send(2),
// besides MSG_NOSIGNAL. 0 or the errno, which is never EINTR. Any thread.
int send_with_fds(int socket, std::string_view bytes, std::span<const int> fds, int flags,
                  const sockaddr* to = nullptr, socklen_t to_size = 0);

}  // namespace sc::base
