#include "bench/sockets.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>

#include "base/text.h"

namespace sc::bench {
namespace {

constexpr int kBacklog = 8192;          // cut by net.core.somaxconn
constexpr std::uint64_t kSources = 16;  // times 28,000 ephemeral ports
constexpr std::uint32_t kLoopback = 0x7f000000U;

base::Error fault(std::string_view what) {
  return {base::Errc::unavailable, base::describe_errno(what, errno)};
}

const sockaddr* generic(const sockaddr_in& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

}  // namespace

base::Result<sockaddr_in> parse_loopback(std::string_view text) {
  const auto colon = text.rfind(':');
  sockaddr_in address{};
  address.sin_family = AF_INET;
  const std::string host(text.substr(0, colon));
  const auto port = colon == std::string_view::npos
                        ? std::nullopt
                        : base::parse_unsigned(text.substr(colon + 1), 0, 65535);
  if (!port || ::inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1 ||
      (ntohl(address.sin_addr.s_addr) >> 24U) != kLoopback >> 24U)
    return base::Error{base::Errc::invalid, base::quoted(text) + " is no 127.x.y.z:port"};
  address.sin_port = htons(static_cast<std::uint16_t>(*port));
  return address;
}

base::Result<base::Fd> listen_on(const sockaddr_in& address) {
  base::Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const int on = 1;
  if (!socket) return fault("socket");
  if (::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      ::bind(socket.get(), generic(address), sizeof address) != 0 ||
      ::listen(socket.get(), kBacklog) != 0)
    return fault("listen");
  return socket;
}

std::uint16_t port_of(int socket) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.sin_port);
}

sockaddr_in source_address(std::uint64_t number) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(kLoopback + 2 + static_cast<std::uint32_t>(number % kSources));
  return address;
}

base::Result<base::Fd> start_connect(const sockaddr_in& target, const sockaddr_in& source) {
  base::Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket) return fault("socket");
  set_no_delay(socket.get());
  const int on = 1;
  // The port is chosen at connect(2), where only the whole pair has to be new: ip(7).
  ::setsockopt(socket.get(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  if (::bind(socket.get(), generic(source), sizeof source) != 0) return fault("bind");
  if (::connect(socket.get(), generic(target), sizeof target) != 0 && errno != EINPROGRESS)
    return fault("connect");
  return socket;
}

base::Result<base::Fd> connect_to(const sockaddr_in& target, const sockaddr_in& source,
                                  std::chrono::milliseconds patience) {
  auto socket = start_connect(target, source);
  if (!socket) return socket;
  pollfd connected{.fd = socket->get(), .events = POLLOUT, .revents = 0};
  if (::poll(&connected, 1, static_cast<int>(patience.count())) != 1)
    return base::Error{base::Errc::unavailable, "connect: no answer in time"};
  errno = pending_error(socket->get());
  if (errno != 0) return fault("connect");
  return socket;
}

void set_no_delay(int socket) {
  const int on = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

int pending_error(int socket) {
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size);
  return error;
}

}  // namespace sc::bench
