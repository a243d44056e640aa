#include "systemd/notify_socket.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>

#include "support/catch.h"

namespace sc::test {

NotifySocket::NotifySocket() : NotifySocket("@sc-test-notify-" + std::to_string(::getpid())) {}

NotifySocket::NotifySocket(std::string name)
    : name_(std::move(name)), fd_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
  REQUIRE(fd_);
  // unix(7): an abstract name begins with a zero byte where the variable has `@`, and has no end
  // but the address's size.
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::copy(name_.begin(), name_.end(), &address.sun_path[0]);
  if (name_.front() == '@') address.sun_path[0] = '\0';
  const std::size_t end = name_.front() == '@' ? 0 : 1;
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name_.size() + end);
  REQUIRE(::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), size) == 0);
}

std::optional<std::string> NotifySocket::receive(std::chrono::milliseconds within) {
  pollfd waits{fd_.get(), POLLIN, 0};
  if (::poll(&waits, 1, static_cast<int>(within.count())) != 1) return std::nullopt;
  std::array<char, 4096> buffer{};
  const ssize_t count = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
  REQUIRE(count >= 0);
  return std::string(buffer.data(), static_cast<std::size_t>(count));
}

std::string NotifySocket::received() {
  // A datagram on a unix socket has arrived once the sender's call is back.
  auto message = receive(std::chrono::milliseconds{0});
  REQUIRE(message);
  return *message;
}

NotifySocket::Message NotifySocket::received_with_fd() {
  std::array<char, 4096> buffer{};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(ucred)) + CMSG_SPACE(sizeof(int))> control{};
  iovec data{buffer.data(), buffer.size()};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t count = ::recvmsg(fd_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  REQUIRE(count >= 0);
  Message got{std::string(buffer.data(), static_cast<std::size_t>(count)), {}};
  for (cmsghdr* each = CMSG_FIRSTHDR(&message); each != nullptr;
       each = CMSG_NXTHDR(&message, each)) {
    if (each->cmsg_level != SOL_SOCKET || each->cmsg_type != SCM_RIGHTS) continue;
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(each), sizeof fd);
    got.fd.reset(fd);
  }
  return got;
}

}  // namespace sc::test
