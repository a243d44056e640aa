#include "net/socket.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "support/catch.h"
#include "support/full_fd_table.h"
#include "support/namespaces.h"
#include "support/tcp_peer.h"

namespace sc::test {
namespace {

using net::Address;

const Address kLoopback = *Address::parse_ip("127.0.0.1", 0);

int option(int fd, int level, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  ::getsockopt(fd, level, name, &value, &size);
  return value;
}

bool is_ready(int fd, short events) {
  pollfd waiting{fd, events, 0};
  return ::poll(&waiting, 1, 10'000) == 1;
}

net::Accepted accept_one(int listener) {
  REQUIRE(is_ready(listener, POLLIN));
  auto result = net::accept(listener);
  REQUIRE(result.error == 0);
  return std::move(result.accepted);
}

base::Fd listen_on(const Address& address, const net::ListenOptions& options = {}) {
  auto listener = net::listen_tcp(address, options);
  REQUIRE(listener);
  return *std::move(listener);
}

bool host_has_ipv6() {
  try {
    const TcpListener probe("::1");
    return true;
  } catch (const std::runtime_error&) {
    return false;
  }
}

bool is_nonblocking_and_cloexec(int fd) {
  return (::fcntl(fd, F_GETFL) & O_NONBLOCK) != 0 && (::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0;
}

TEST_CASE("port 0 listens on a free port, which the socket tells") {
  const base::Fd listener = listen_on(kLoopback);
  const Address local = net::local_address(listener.get());
  CHECK(local.ip() == "127.0.0.1");
  CHECK(local.port() != 0);
  CHECK(is_nonblocking_and_cloexec(listener.get()));
  const TcpPeer client = TcpPeer::connect(local.port());
  const net::Accepted accepted = accept_one(listener.get());
  CHECK(accepted.peer == net::peer_address(accepted.fd.get()));
  CHECK(accepted.peer.port() == client.port());
  CHECK(net::local_address(accepted.fd.get()) == local);
  CHECK(is_nonblocking_and_cloexec(accepted.fd.get()));
}

TEST_CASE("a port that is taken is a conflict that names the address") {
  const TcpListener other;
  for (const char* address : {"127.0.0.1", "0.0.0.0"}) {
    const auto failed = net::listen_tcp(*Address::parse_ip(address, other.port()), {});
    REQUIRE_FALSE(failed);
    CHECK(failed.error().code == base::Errc::in_use);
    CHECK(failed.error().message.find(address + (":" + std::to_string(other.port()))) !=
          std::string::npos);
    CHECK(failed.error().message.find("EADDRINUSE") != std::string::npos);
  }
}

TEST_CASE("an IPv4 listener on a port is a conflict for the dual-stack wildcard") {
  if (!host_has_ipv6()) return;
  const TcpListener other("0.0.0.0");
  const auto failed = net::listen_tcp(Address::any_v6(other.port()), {});
  REQUIRE_FALSE(failed);
  CHECK(failed.error().code == base::Errc::in_use);
}

// Listens without CAP_NET_BIND_SERVICE, on a thread of its own in a new network namespace: there
// ports below 1024 need it, while in a container often none does. Needs root.
base::Result<base::Fd> listen_without_privilege(const Address& address) {
  std::optional<base::Result<base::Fd>> result;
  std::thread([&] {
    if (::unshare(CLONE_NEWNET) != 0) return;
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> sets{};
    if (::syscall(SYS_capget, &header, sets.data()) != 0) return;
    sets[0].effective &= ~(1U << CAP_NET_BIND_SERVICE);
    if (::syscall(SYS_capset, &header, sets.data()) != 0) return;
    result = net::listen_tcp(address, {});
  }).join();
  REQUIRE(result);
  return std::move(*result);
}

TEST_CASE("a port below 1024 without the capability lacks a privilege, and names the drop-in") {
  const auto failed = listen_without_privilege(Address::any_v4(80));
  REQUIRE_FALSE(failed);
  CHECK(failed.error().code == base::Errc::privilege);
  CHECK_THAT(failed.error().message,
             Catch::StartsWith("cannot listen on 0.0.0.0:80: Permission denied (EACCES); ") &&
                 Catch::Contains("below 1024") && Catch::Contains("CAP_NET_BIND_SERVICE") &&
                 Catch::Contains("low-ports.conf"));
  CHECK(listen_without_privilege(Address::any_v4(1024)));
}

// Listens on a thread for which bind(2) fails as a security module has it.
base::Result<base::Fd> listen_where_forbidden(const Address& address) {
  std::optional<base::Result<base::Fd>> result;
  std::thread([&] {
    std::array<sock_filter, 4> filter{{
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_bind, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    }};
    const sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
      return;
    result = net::listen_tcp(address, {});
  }).join();
  REQUIRE(result);
  return std::move(*result);
}

TEST_CASE(
    "a port that a rule of the host forbids is told apart from one that the caller may not have") {
  const auto failed = listen_where_forbidden(Address::any_v4(9000));
  REQUIRE_FALSE(failed);
  CHECK(failed.error().code == base::Errc::privilege);
  CHECK_THAT(failed.error().message,
             Catch::Contains("(EPERM)") && Catch::Contains("security module of this host"));
}

TEST_CASE("before a stream listens, the host is asked whether it has the address") {
  const auto check = [](const char* ip) {
    return net::check_own_address(*Address::parse_ip(ip, 80));
  };
  for (const char* ip : {"127.0.0.1", "127.9.9.9", "0.0.0.0"}) CHECK(check(ip));
  const auto foreign = check("203.0.113.1");
  REQUIRE_FALSE(foreign);
  CHECK(foreign.error().code == base::Errc::invalid);
  CHECK_THAT(foreign.error().message, Catch::Contains("not an address of this host"));
  for (const char* ip : {"127.255.255.255", "::ffff:127.255.255.255"}) {
    INFO(ip);
    const auto broadcast = check(ip);
    REQUIRE_FALSE(broadcast);
    CHECK_THAT(broadcast.error().message, Catch::Contains("broadcast"));
  }
  CHECK(check("::ffff:127.0.0.1"));
  CHECK(check("::ffff:0.0.0.0"));
}

TEST_CASE("no socket listens on a multicast or broadcast address") {
  for (const char* ip : {"224.0.0.1", "ff02::1", "127.255.255.255", "::ffff:127.255.255.255"}) {
    INFO(ip);
    const auto failed = net::listen_tcp(*Address::parse_ip(ip, 0), {});
    REQUIRE_FALSE(failed);
    CHECK(failed.error().code == base::Errc::invalid);
    CHECK_THAT(failed.error().message, Catch::Contains("multicast or broadcast"));
  }
}

TEST_CASE("an address that the host does not have is invalid") {
  // RFC 5737: TEST-NET-3 is nobody's.
  const auto failed = net::listen_tcp(*Address::parse_ip("203.0.113.1", 0), {});
  REQUIRE_FALSE(failed);
  CHECK(failed.error().code == base::Errc::invalid);
}

TEST_CASE("a full table of descriptors is unavailable for a listener, EMFILE for a connect") {
  const FullFdTable full;
  const auto listener = net::listen_tcp(kLoopback, {});
  REQUIRE_FALSE(listener);
  CHECK(listener.error().code == base::Errc::unavailable);
  const auto connecting = net::start_connect(*Address::parse_ip("127.0.0.1", 9));
  REQUIRE_FALSE(connecting);
  CHECK(connecting.error().step == net::ErrorStep::socket);
  CHECK(connecting.error().number == EMFILE);
}

TEST_CASE("a family that the host does not have is an error of socket(2)") {
  const auto connecting = net::start_connect(Address());
  REQUIRE_FALSE(connecting);
  CHECK(connecting.error().step == net::ErrorStep::socket);
  CHECK(connecting.error().number == EAFNOSUPPORT);
}

TEST_CASE("a port is opened again while a session of its old listener lives") {
  base::Fd listener = listen_on(kLoopback);
  const Address local = net::local_address(listener.get());
  TcpPeer client = TcpPeer::connect(local.port());
  TcpPeer server(accept_one(listener.get()).fd);
  listener.reset();

  const base::Fd again = listen_on(local);
  client.send_all("still here");
  CHECK(server.receive(10) == "still here");
  const TcpPeer next = TcpPeer::connect(local.port());
  CHECK(accept_one(again.get()).peer.port() == next.port());
}

TEST_CASE("a port is opened again after the listening side closed its sessions first") {
  // Its end of the session stays in TIME_WAIT for a minute.
  base::Fd listener = listen_on(kLoopback);
  const Address local = net::local_address(listener.get());
  TcpPeer client = TcpPeer::connect(local.port());
  accept_one(listener.get());
  CHECK(client.receive_until_end().empty());
  client.close();
  listener.reset();
  CHECK(net::listen_tcp(local, {}));
}

TEST_CASE("the IPv6 wildcard takes IPv4 clients too, shown with their IPv4 address") {
  if (!host_has_ipv6()) return;
  const base::Fd listener = listen_on(Address::any_v6(0));
  const auto port = net::local_address(listener.get()).port();
  const TcpPeer v4 = TcpPeer::connect(port, "127.0.0.1");
  const Address from_v4 = accept_one(listener.get()).peer;
  CHECK(from_v4.ip() == "127.0.0.1");
  CHECK(from_v4.is_loopback());
  const TcpPeer v6 = TcpPeer::connect(port, "::1");
  CHECK(accept_one(listener.get()).peer.ip() == "::1");
}

TEST_CASE("accepted sockets inherit TCP_NODELAY and keepalive") {
  const base::Fd listener = listen_on(kLoopback, {{std::chrono::seconds(77)}, 16});
  const TcpPeer client = TcpPeer::connect(net::local_address(listener.get()).port());
  const base::Fd accepted = accept_one(listener.get()).fd;
  CHECK(option(accepted.get(), IPPROTO_TCP, TCP_NODELAY) == 1);
  CHECK(option(accepted.get(), SOL_SOCKET, SO_KEEPALIVE) == 1);
  CHECK(option(accepted.get(), IPPROTO_TCP, TCP_KEEPIDLE) == 77);
  CHECK(option(accepted.get(), IPPROTO_TCP, TCP_KEEPINTVL) == 10);
  CHECK(option(accepted.get(), IPPROTO_TCP, TCP_KEEPCNT) == 6);
}

TEST_CASE("zero is no keepalive") {
  const base::Fd listener = listen_on(kLoopback);
  const TcpPeer client = TcpPeer::connect(net::local_address(listener.get()).port());
  const base::Fd accepted = accept_one(listener.get()).fd;
  CHECK(option(accepted.get(), SOL_SOCKET, SO_KEEPALIVE) == 0);
  net::set_keepalive(accepted.get(), {std::chrono::seconds(5)});
  CHECK(option(accepted.get(), SOL_SOCKET, SO_KEEPALIVE) == 1);
  CHECK(option(accepted.get(), IPPROTO_TCP, TCP_KEEPIDLE) == 5);
}

TEST_CASE("accept says EAGAIN when nobody waits") {
  const base::Fd listener = listen_on(kLoopback);
  const auto result = net::accept(listener.get());
  CHECK(result.error == EAGAIN);
  CHECK_FALSE(result.accepted.fd);
}

TEST_CASE("a client that gave up in the backlog does not hide the next one") {
  const base::Fd listener = listen_on(kLoopback);
  const auto port = net::local_address(listener.get()).port();
  TcpPeer::connect(port).reset();
  const TcpPeer next = TcpPeer::connect(port);
  std::uint16_t last = 0;
  while (last != next.port()) last = accept_one(listener.get()).peer.port();
  CHECK(net::accept(listener.get()).error == EAGAIN);
}

TEST_CASE("a connect that was started is finished when the socket is writable") {
  TcpListener listener;
  const Address to = *Address::parse_ip("127.0.0.1", listener.port());
  auto connecting = net::start_connect(to);
  REQUIRE(connecting);
  REQUIRE(is_ready(connecting->get(), POLLOUT));
  CHECK(net::take_error(connecting->get()) == 0);
  CHECK(net::peer_address(connecting->get()) == to);
  CHECK(is_nonblocking_and_cloexec(connecting->get()));
  CHECK(option(connecting->get(), IPPROTO_TCP, TCP_NODELAY) == 1);
  TcpPeer server = listener.accept();
  server.send_all("hi");
  CHECK(TcpPeer(*std::move(connecting)).receive(2) == "hi");
}

TEST_CASE("a refused connect is told by take_error, once") {
  const ClosedPort closed;
  auto connecting = net::start_connect(*Address::parse_ip("127.0.0.1", closed.port()));
  if (!connecting) {  // the kernel may say it at once
    CHECK(connecting.error().number == ECONNREFUSED);
    return;
  }
  REQUIRE(is_ready(connecting->get(), POLLOUT));
  CHECK(net::take_error(connecting->get()) == ECONNREFUSED);
  CHECK(net::take_error(connecting->get()) == 0);
}

TEST_CASE("a connect that the host refuses at once has its errno and is no answer") {
  const auto connecting = net::start_connect(*Address::parse_ip("255.255.255.255", 9));
  REQUIRE_FALSE(connecting);
  CHECK(connecting.error().step == net::ErrorStep::connect);
  CHECK(connecting.error().number == ENETUNREACH);
}

TEST_CASE("a listener opens the source port of a connection that shares it, also in TIME_WAIT") {
  const bool shares = GENERATE(true, false);
  const bool has_ended = GENERATE(true, false);
  const TwoHosts hosts;  // no connection of another program has the port
  const base::Fd backend = listen_on(kLoopback);
  auto socket = net::start_connect(net::local_address(backend.get()), shares);
  REQUIRE(socket);
  REQUIRE(is_ready(socket->get(), POLLOUT));
  net::Accepted accepted = accept_one(backend.get());
  const std::uint16_t port = net::local_address(socket->get()).port();
  if (has_ended) {
    socket->reset();
    TcpPeer peer(std::move(accepted.fd));
    CHECK(peer.receive_until_end().empty());
  }
  const auto listener = net::listen_tcp(*Address::parse_ip("127.0.0.1", port), {});
  REQUIRE(listener.has_value() == shares);
  if (shares) {
    CHECK(TcpPeer::connect(port).port() != 0);
  } else {
    CHECK(listener.error().code == base::Errc::in_use);
  }
}

TEST_CASE("a close after reset_on_close arrives as a reset, one without it as an end") {
  const base::Fd listener = listen_on(kLoopback);
  const auto port = net::local_address(listener.get()).port();
  TcpPeer cut = TcpPeer::connect(port);
  net::Accepted accepted = accept_one(listener.get());
  net::reset_on_close(accepted.fd.get());
  accepted.fd.reset();
  CHECK(cut.got_reset());

  TcpPeer ended = TcpPeer::connect(port);
  accept_one(listener.get());
  CHECK_FALSE(ended.got_reset());
}

TEST_CASE("a reset drops what was not sent yet") {
  const base::Fd listener = listen_on(kLoopback);
  TcpPeer client = TcpPeer::connect(net::local_address(listener.get()).port());
  net::Accepted accepted = accept_one(listener.get());
  const std::array<char, 64 * 1024> chunk{};
  std::size_t sent = 0;
  for (ssize_t now = 0; now >= 0; sent += static_cast<std::size_t>(now)) {
    now = ::send(accepted.fd.get(), chunk.data(), chunk.size(), MSG_NOSIGNAL);
    if (now < 0) break;
  }
  net::reset_on_close(accepted.fd.get());
  accepted.fd.reset();
  CHECK(sent > 0);
  CHECK(client.got_reset());
}

TEST_CASE("whether a close resets is seen from the socket, and can be taken back") {
  const base::Fd listener = listen_on(kLoopback);
  TcpPeer client = TcpPeer::connect(net::local_address(listener.get()).port());
  net::Accepted accepted = accept_one(listener.get());
  CHECK_FALSE(net::resets_on_close(accepted.fd.get()));
  net::reset_on_close(accepted.fd.get());
  CHECK(net::resets_on_close(accepted.fd.get()));
  net::end_on_close(accepted.fd.get());
  CHECK_FALSE(net::resets_on_close(accepted.fd.get()));
  accepted.fd.reset();
  CHECK_FALSE(client.got_reset());
}

base::Fd copy_of(const base::Fd& fd) { return base::Fd(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0)); }

TEST_CASE("a connection is ended by a reset whoever has copies of it") {
  const base::Fd listener = listen_on(kLoopback);
  TcpPeer client = TcpPeer::connect(net::local_address(listener.get()).port());
  const net::Accepted accepted = accept_one(listener.get());
  const base::Fd copy = copy_of(accepted.fd);
  const std::string unsent(64 * 1024, 'x');
  while (::send(accepted.fd.get(), unsent.data(), unsent.size(), MSG_NOSIGNAL) > 0) {
  }
  CHECK_FALSE(net::is_closed(copy.get()));
  net::end_connection(accepted.fd.get());
  CHECK(net::is_closed(copy.get()));
  CHECK(client.got_reset());
}

TEST_CASE("a connection that its peer has left already can be ended") {
  const base::Fd listener = listen_on(kLoopback);
  TcpPeer client = TcpPeer::connect(net::local_address(listener.get()).port());
  const net::Accepted accepted = accept_one(listener.get());
  client.reset();
  REQUIRE(is_ready(accepted.fd.get(), POLLIN));
  CHECK(net::is_closed(accepted.fd.get()));
  net::end_connection(accepted.fd.get());
  CHECK(net::is_closed(accepted.fd.get()));
}

TEST_CASE("a connection of which one side has ended is not over, after both it is") {
  const base::Fd listener = listen_on(kLoopback);
  TcpPeer client = TcpPeer::connect(net::local_address(listener.get()).port());
  const net::Accepted accepted = accept_one(listener.get());
  CHECK_FALSE(net::is_closed(accepted.fd.get()));
  client.half_close();
  REQUIRE(is_ready(accepted.fd.get(), POLLIN));
  CHECK_FALSE(net::is_closed(accepted.fd.get()));
  REQUIRE(::shutdown(accepted.fd.get(), SHUT_WR) == 0);
  CHECK(client.receive_until_end().empty());
  // The last acknowledgement of loopback has come when the peer has read the end.
  CHECK(net::is_closed(accepted.fd.get()));
}

TEST_CASE("a listener that is stopped refuses, whoever has copies, and its port can be bound") {
  base::Fd listener = listen_on(kLoopback);
  const Address at = net::local_address(listener.get());
  const base::Fd copy = copy_of(listener);
  TcpPeer waiting = TcpPeer::connect(at.port());
  CHECK(net::is_listening(copy.get()));
  CHECK_FALSE(net::listen_tcp(at, {}));
  net::stop_listening(listener.get());
  CHECK_FALSE(net::is_listening(copy.get()));
  CHECK(waiting.got_reset());
  CHECK(net::local_address(copy.get()) == at);
  CHECK(net::listen_tcp(at, {}));
}

TEST_CASE("copies of a socket share its cookie, two sockets do not") {
  const base::Fd one = listen_on(kLoopback);
  const base::Fd two = listen_on(kLoopback);
  const base::Fd copy = copy_of(one);
  CHECK(net::socket_cookie(one.get()) != 0);
  CHECK(net::socket_cookie(one.get()) == net::socket_cookie(copy.get()));
  CHECK(net::socket_cookie(one.get()) != net::socket_cookie(two.get()));
}

TEST_CASE("what is no socket is known as such") {
  const base::Fd file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const base::Fd listener = listen_on(kLoopback);
  CHECK(net::is_socket(listener.get()));
  CHECK_FALSE(net::is_socket(file.get()));
  CHECK_FALSE(net::is_listening(file.get()));
  CHECK_FALSE(net::resets_on_close(file.get()));
  CHECK(net::is_closed(file.get()));
  CHECK(net::socket_cookie(file.get()) == 0);
}

TEST_CASE("a unix socket's peer is known by its user, group and process") {
  std::array<int, 2> ends{};
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
  const base::Fd one(ends[0]);
  const base::Fd two(ends[1]);
  const auto peer = net::peer_credentials(one.get());
  REQUIRE(peer);
  CHECK(peer->uid == ::getuid());
  CHECK(peer->gid == ::getgid());
  CHECK(peer->pid == ::getpid());
  std::vector<gid_t> groups(static_cast<std::size_t>(::getgroups(0, nullptr)));
  CHECK(::getgroups(static_cast<int>(groups.size()), groups.data()) ==
        static_cast<int>(groups.size()));
  CHECK(peer->groups == groups);
  CHECK(net::peer_address(one.get()).is_unix());
}

TEST_CASE("what is no socket has no credentials and no address") {
  const base::Fd file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const auto peer = net::peer_credentials(file.get());
  REQUIRE_FALSE(peer);
  CHECK(peer.error().code == base::Errc::internal);
  CHECK(net::local_address(file.get()) == Address());
  CHECK(net::take_error(file.get()) == ENOTSOCK);
}

}  // namespace
}  // namespace sc::test
