#include "net/socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdint>
#include <fstream>
#include <string>
#include <utility>

#include "base/direct_call.h"
#include "base/text.h"

namespace sc::net {
namespace {

void set_int(int fd, int level, int option, int value) {
  // Fails only for a wrong descriptor or option, which would be a bug; a socket whose peer has gone
  // takes them.
  ::setsockopt(fd, level, option, &value, sizeof value);
}

// The first port that needs no privilege, of this network namespace. Containers often have 0.
std::uint32_t first_unprivileged_port() {
  std::ifstream file("/proc/sys/net/ipv4/ip_unprivileged_port_start");
  std::uint32_t first = 0;
  if (!(file >> first)) first = IPPORT_RESERVED;
  return first;
}

base::Error listen_error(const Address& address, int number) {
  const std::string text = base::describe_errno("cannot listen on " + address.to_string(), number);
  if (number == EADDRINUSE) return {base::Errc::in_use, text};
  if (number == EADDRNOTAVAIL) return {base::Errc::invalid, text};
  if (number == EACCES) {
    const std::uint32_t first = first_unprivileged_port();
    if (address.port() < first)
      return {base::Errc::privilege,
              text + "; a port below " + std::to_string(first) +
                  " needs the capability CAP_NET_BIND_SERVICE: give it to the service, under "
                  "systemd by the drop-in low-ports.conf (\"Under systemd\" in README)"};
  }
  if (number == EACCES || number == EPERM)
    return {base::Errc::privilege,
            text +
                "; a BPF program (SocketBindDeny=) or a security module of this host forbids "
                "it"};
  return {base::Errc::unavailable, text};
}

template <class Call>
Address ask_address(int fd, Call call) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  if (call(fd, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return {};
  return {reinterpret_cast<const sockaddr*>(&storage), size};
}

}  // namespace

void set_nodelay(int fd) { set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1); }

void set_send_buffer(int fd, int bytes) { set_int(fd, SOL_SOCKET, SO_SNDBUF, bytes); }

void set_user_timeout(int fd, std::chrono::milliseconds timeout) {
  set_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, static_cast<int>(timeout.count()));
}

void keep_urgent_inline(int fd) { set_int(fd, SOL_SOCKET, SO_OOBINLINE, 1); }

PeerEnd peer_end(int fd) {
  pollfd asked{fd, POLLRDHUP, 0};
  if (::poll(&asked, 1, 0) <= 0) return PeerEnd::none;
  if ((asked.revents & (POLLERR | POLLHUP | POLLNVAL)) != 0) return PeerEnd::gone;
  return (asked.revents & POLLRDHUP) != 0 ? PeerEnd::ended : PeerEnd::none;
}

void set_keepalive(int fd, const Keepalive& keepalive) {
  if (keepalive.idle.count() <= 0) return;
  set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, static_cast<int>(keepalive.idle.count()));
  set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, static_cast<int>(keepalive.interval.count()));
  set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, keepalive.probes);
}

base::Result<base::Fd> listen_tcp(const Address& address, const ListenOptions& options) {
  // Rows that the API did not write may have such an address.
  if (!address.is_wildcard() && (base::is_group_address(address.ip()) || is_broadcast(address)))
    return base::Error{base::Errc::invalid,
                       "cannot listen on " + address.to_string() +
                           ": it is a multicast or broadcast address, which TCP cannot connect to"};
  base::Fd fd(::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return listen_error(address, errno);
  // Lets a port be opened again while sessions of its former listener still end; two listeners on
  // one port remain an error, found by bind or, if the other one was only bound so far, by listen.
  set_int(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  if (address.family() == AF_INET6) set_int(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, 0);
  set_nodelay(fd.get());
  set_keepalive(fd.get(), options.keepalive);
  keep_urgent_inline(fd.get());
  if (::bind(fd.get(), address.raw(), address.size()) != 0) return listen_error(address, errno);
  if (::listen(fd.get(), options.backlog) != 0) return listen_error(address, errno);
  return fd;
}

bool is_broadcast(const Address& address) {
  constexpr std::uint16_t kAnyPort = 9;  // discard; connect(2) wants one
  Address asked = address.unmapped();    // IPv6 sockets connect to a mapped one without asking
  if (asked.family() != AF_INET || asked.is_wildcard()) return false;
  const base::Fd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd) return false;
  asked.set_port(kAnyPort);
  // A route of the type `prohibit` gives EACCES too, whatever the socket allows.
  if (::connect(fd.get(), asked.raw(), asked.size()) == 0 || errno != EACCES) return false;
  set_int(fd.get(), SOL_SOCKET, SO_BROADCAST, 1);
  return ::connect(fd.get(), asked.raw(), asked.size()) == 0;
}

base::Result<void> check_own_address(const Address& address) {
  const auto invalid = [](const char* why) { return base::Error{base::Errc::invalid, why}; };
  const base::Fd fd(::socket(address.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd)
    return errno == EAFNOSUPPORT ? invalid("is of a family that this host does not have")
                                 : base::Result<void>{};
  Address any_port = address;
  any_port.set_port(0);
  if (::bind(fd.get(), any_port.raw(), any_port.size()) != 0)
    return errno == EADDRNOTAVAIL || errno == ENODEV
               ? invalid("is not an address of this host; `ip address` lists them")
               : base::Result<void>{};  // listening will say why
  if (is_broadcast(address)) return invalid("is a broadcast address, which TCP cannot connect to");
  return {};
}

void share_port(int fd) { set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1); }

base::Fd make_socket(int family, bool shares_port) {
  base::Fd fd(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return fd;
  set_nodelay(fd.get());
  keep_urgent_inline(fd.get());
  if (shares_port) share_port(fd.get());
  return fd;
}

base::Result<base::Fd, ConnectError> start_connect(const Address& address, bool shares_port) {
  base::Fd fd = make_socket(address.family(), shares_port);
  if (!fd) return ConnectError{ErrorStep::socket, errno};
  if (const auto refused = start_connect(fd.get(), address)) return *refused;
  return fd;
}

std::optional<ConnectError> start_connect(int socket, const Address& address) {
  // EINTR: the connect goes on (connect(2)), as with EINPROGRESS.
  if (::connect(socket, address.raw(), address.size()) == 0 || errno == EINPROGRESS ||
      errno == EINTR)
    return std::nullopt;
  return ConnectError{ErrorStep::connect, errno};
}

AcceptResult accept(int listener) {
  sockaddr_storage storage{};
  while (true) {
    socklen_t size = sizeof storage;
    base::Fd fd(base::direct::accept4(listener, reinterpret_cast<sockaddr*>(&storage), &size,
                                      SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (fd) return {{std::move(fd), Address(reinterpret_cast<const sockaddr*>(&storage), size)}, 0};
    // accept(2): a client that gave up meanwhile is reported here, and the next may wait behind it.
    if (errno == EINTR || errno == ECONNABORTED || errno == EPROTO) continue;
    return {{}, errno};
  }
}

int waiting_clients(int listener) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (::getsockopt(listener, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return 0;
  return info.tcpi_state == TCP_LISTEN ? static_cast<int>(info.tcpi_unacked) : 0;
}

int take_error(int fd) {
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) return errno;
  return error;
}

Address local_address(int fd) { return ask_address(fd, ::getsockname); }
Address peer_address(int fd) { return ask_address(fd, ::getpeername); }

namespace {

// None where the kernel does not say. They do not change with the peer's, so asking twice is safe.
std::vector<gid_t> peer_groups(int fd) {
  socklen_t size = 0;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, nullptr, &size) == 0 || errno != ERANGE)
    return {};
  std::vector<gid_t> groups(size / sizeof(gid_t));
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &size) != 0) return {};
  return groups;
}

}  // namespace

base::Result<PeerCredentials> peer_credentials(int fd) {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0)
    return base::Error{base::Errc::internal, base::describe_errno("SO_PEERCRED", errno)};
  return PeerCredentials{credentials.uid, credentials.gid, credentials.pid, peer_groups(fd)};
}

void reset_on_close(int fd) {
  const linger at_once{1, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

void end_on_close(int fd) {
  const linger never{0, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &never, sizeof never);
}

bool resets_on_close(int fd) {
  linger set{};
  socklen_t size = sizeof set;
  return ::getsockopt(fd, SOL_SOCKET, SO_LINGER, &set, &size) == 0 && set.l_onoff != 0 &&
         set.l_linger == 0;
}

// connect(2): AF_UNSPEC dissolves the association; TCP sends a reset where the other side would
// miss something otherwise, and with SO_LINGER 0 whatever is there still is dropped.
void end_connection(int fd) {
  reset_on_close(fd);
  sockaddr nobody{};
  nobody.sa_family = AF_UNSPEC;
  static_cast<void>(::connect(fd, &nobody, sizeof nobody));
}

void stop_listening(int fd) { ::shutdown(fd, SHUT_RDWR); }

bool is_listening(int fd) {
  int listens = 0;
  socklen_t size = sizeof listens;
  return ::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens != 0;
}

bool is_socket(int fd) {
  struct stat about {};
  return ::fstat(fd, &about) == 0 && S_ISSOCK(about.st_mode);
}

std::uint64_t socket_cookie(int fd) {
  std::uint64_t cookie = 0;
  socklen_t size = sizeof cookie;
  ::getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size);
  return cookie;
}

bool is_closed(int fd) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return true;
  return info.tcpi_state == TCP_CLOSE;
}

}  // namespace sc::net
