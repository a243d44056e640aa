#pragma once

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>

// The calls that a session makes over and over, as the kernel takes them. In a process with threads
// glibc's own are cancellation points (pthreads(7)), which arms and disarms cancellation around
// each with two atomic operations. Nothing here is ever cancelled; without them a worker carried 1
// % more requests of 100 ping-pong sessions. Sanitizers watch glibc's functions, so they get those.
// Results and errno are as in section 2 of the manual. Any thread.
namespace sc::base::direct {

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)

using ::accept4;
using ::close;
using ::epoll_wait;
using ::recv;
using ::send;
using ::splice;

#else

inline int accept4(int fd, sockaddr* address, socklen_t* size, int flags) {
  return static_cast<int>(::syscall(SYS_accept4, fd, address, size, flags));
}
inline int close(int fd) { return static_cast<int>(::syscall(SYS_close, fd)); }
inline int epoll_wait(int epoll, epoll_event* events, int most, int timeout_ms) {
  return static_cast<int>(
      ::syscall(SYS_epoll_pwait, epoll, events, most, timeout_ms, nullptr, std::size_t{8}));
}
inline ssize_t recv(int fd, void* buffer, std::size_t size, int flags) {
  return ::syscall(SYS_recvfrom, fd, buffer, size, flags, nullptr, nullptr);
}
inline ssize_t send(int fd, const void* buffer, std::size_t size, int flags) {
  return ::syscall(SYS_sendto, fd, buffer, size, flags, nullptr, 0);
}
inline ssize_t splice(int from, off64_t* from_offset, int to, off64_t* to_offset, std::size_t size,
                      unsigned flags) {
  return ::syscall(SYS_splice, from, from_offset, to, to_offset, size, flags);
}

#endif

}  // namespace sc::base::direct
