#include "support/tcp_peer.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <stdexcept>
#include <utility>

#include "base/result.h"

namespace sc::test {
namespace {

using SteadyClock = std::chrono::steady_clock;

[[noreturn]] void fail(std::string_view what) {
  throw std::runtime_error(base::describe_errno(what, errno));
}

void check(int status, std::string_view what) {
  if (status < 0) fail(what);
}

void wait_for(int fd, short events, SteadyClock::time_point deadline, std::string_view what) {
  pollfd waiting{fd, events, 0};
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - SteadyClock::now());
    const int ready =
        ::poll(&waiting, 1, static_cast<int>(std::max<std::int64_t>(0, left.count())));
    if (ready > 0) return;
    if (ready == 0) throw std::runtime_error(std::string(what) + ": nothing happened in time");
    if (errno != EINTR) fail("poll");
  }
}

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = sizeof(sockaddr_storage);
  sockaddr* raw() { return reinterpret_cast<sockaddr*>(&storage); }
};

SocketAddress to_address(const std::string& ip, std::uint16_t port) {
  SocketAddress out;
  sockaddr_in v4{};
  sockaddr_in6 v6{};
  if (::inet_pton(AF_INET, ip.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    out.size = sizeof v4;
    std::copy_n(reinterpret_cast<const char*>(&v4), sizeof v4, reinterpret_cast<char*>(out.raw()));
  } else if (::inet_pton(AF_INET6, ip.c_str(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    out.size = sizeof v6;
    std::copy_n(reinterpret_cast<const char*>(&v6), sizeof v6, reinterpret_cast<char*>(out.raw()));
  } else {
    throw std::runtime_error("not an IP address: " + ip);
  }
  return out;
}

base::Fd make_socket(int family) {
  base::Fd fd(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  check(fd.get(), "socket");
  return fd;
}

std::uint16_t local_port(int fd) {
  SocketAddress local;
  check(::getsockname(fd, local.raw(), &local.size), "getsockname");
  // Both families have the port at the same place.
  return ntohs(reinterpret_cast<const sockaddr_in*>(local.raw())->sin_port);
}

}  // namespace

TcpPeer::TcpPeer(base::Fd connected) : fd_(std::move(connected)) {
  check(::fcntl(fd_.get(), F_SETFL, ::fcntl(fd_.get(), F_GETFL) | O_NONBLOCK), "fcntl");
}

TcpPeer TcpPeer::connect(std::uint16_t port, const std::string& ip) {
  SocketAddress to = to_address(ip, port);
  base::Fd fd = make_socket(to.storage.ss_family);
  if (::connect(fd.get(), to.raw(), to.size) != 0 && errno != EINPROGRESS) fail("connect");
  wait_for(fd.get(), POLLOUT, SteadyClock::now() + kPeerDeadline, "connect");
  int error = 0;
  socklen_t size = sizeof error;
  check(::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size), "getsockopt");
  if (error != 0) throw std::runtime_error(base::describe_errno("connect", error));
  return TcpPeer(std::move(fd));
}

void TcpPeer::send_all(std::string_view bytes) {
  const auto deadline = SteadyClock::now() + kPeerDeadline;
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN) {
      wait_for(fd_.get(), POLLOUT, deadline, "send");
    } else if (errno != EINTR) {
      fail("send");
    }
  }
}

std::string TcpPeer::receive(std::size_t size) {
  const auto deadline = SteadyClock::now() + kPeerDeadline;
  std::string out(size, '\0');
  for (std::size_t filled = 0; filled < size;) {
    const ssize_t got = ::recv(fd_.get(), out.data() + filled, size - filled, 0);
    if (got > 0) {
      filled += static_cast<std::size_t>(got);
    } else if (got == 0) {
      throw std::runtime_error("the connection ended after " + std::to_string(filled) + " of " +
                               std::to_string(size) + " bytes");
    } else if (errno == EAGAIN) {
      wait_for(fd_.get(), POLLIN, deadline, "receive");
    } else if (errno != EINTR) {
      fail("receive");
    }
  }
  return out;
}

std::string TcpPeer::receive_until_end() {
  const auto deadline = SteadyClock::now() + kPeerDeadline;
  std::string out;
  std::array<char, 64 * 1024> chunk{};
  while (true) {
    const ssize_t got = ::recv(fd_.get(), chunk.data(), chunk.size(), 0);
    if (got == 0) return out;
    if (got > 0) {
      out.append(chunk.data(), static_cast<std::size_t>(got));
    } else if (errno == EAGAIN) {
      wait_for(fd_.get(), POLLIN, deadline, "receive until the end");
    } else if (errno != EINTR) {
      fail("receive until the end");
    }
  }
}

bool TcpPeer::got_reset() {
  const auto deadline = SteadyClock::now() + kPeerDeadline;
  std::array<char, 64 * 1024> chunk{};
  while (true) {
    const ssize_t got = ::recv(fd_.get(), chunk.data(), chunk.size(), 0);
    if (got == 0) return false;
    if (got > 0 || errno == EINTR) continue;
    if (errno == ECONNRESET) return true;
    if (errno != EAGAIN) fail("wait for the end");
    wait_for(fd_.get(), POLLIN, deadline, "wait for the end");
  }
}

void TcpPeer::half_close() { check(::shutdown(fd_.get(), SHUT_WR), "shutdown"); }

void TcpPeer::close() { fd_.reset(); }

void TcpPeer::reset() {
  const linger at_once{1, 0};
  check(::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), "SO_LINGER");
  fd_.reset();
}

std::uint16_t TcpPeer::port() const { return local_port(fd_.get()); }

ClosedPort::ClosedPort() : fd_(make_socket(AF_INET)) {
  SocketAddress at = to_address("127.0.0.1", 0);
  check(::bind(fd_.get(), at.raw(), at.size), "bind");
  port_ = local_port(fd_.get());
}

TcpListener::TcpListener(const std::string& ip, std::uint16_t port, int backlog) {
  SocketAddress at = to_address(ip, port);
  fd_ = make_socket(at.storage.ss_family);
  const int on = 1;
  check(::setsockopt(fd_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), "SO_REUSEADDR");
  check(::bind(fd_.get(), at.raw(), at.size), "bind");
  check(::listen(fd_.get(), backlog), "listen");
  port_ = local_port(fd_.get());
}

TcpPeer TcpListener::accept() {
  wait_for(fd_.get(), POLLIN, SteadyClock::now() + kPeerDeadline, "accept");
  base::Fd fd(::accept4(fd_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  check(fd.get(), "accept");
  return TcpPeer(std::move(fd));
}

bool TcpListener::has_client() const {
  pollfd waiting{fd_.get(), POLLIN, 0};
  return ::poll(&waiting, 1, 0) > 0;
}

std::uint16_t unused_port() { return ClosedPort().port(); }

}  // namespace sc::test
