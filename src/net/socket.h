#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/fd.h"
#include "base/result.h"
#include "net/address.h"
#include "net/error_blame.h"

// TCP and unix sockets, all non-blocking and close-on-exec. Any thread.
namespace sc::net {

// When a silent peer is taken for dead: after `idle` the first probe, then `probes` of them
// `interval` apart (tcp(7): TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT). Zero: no keepalive.
struct Keepalive {
  std::chrono::seconds idle{0};
  std::chrono::seconds interval{10};
  int probes = 6;

  // From the latest answer until the peer is taken for dead; zero: never.
  std::chrono::seconds limit() const {
    return idle.count() > 0 ? idle + interval * probes : std::chrono::seconds{0};
  }
};

struct ListenOptions {
  Keepalive keepalive;  // inherited by accepted sockets on Linux, as TCP_NODELAY is
  // The kernel caps it at net.core.somaxconn.
  int backlog = 4096;
};

// Binds and listens, with TCP_NODELAY and urgent bytes inline. in_use: the address is taken;
// invalid: it is none of this host's, or multicast or broadcast; privilege: this process lacks the
// capability for a low port, or a BPF program or a security module refuses; unavailable: anything
// else the host refuses. An IPv6 wildcard takes IPv4 too.
base::Result<base::Fd> listen_tcp(const Address& address, const ListenOptions& options);

// Returns whether the address is a broadcast address of this host's networks, also mapped into
// IPv6. The kernel lets sockets listen there, but TCP connects to none. Asks the kernel by a UDP
// socket, which sends nothing.
bool is_broadcast(const Address& address);

// Returns whether clients could connect to a listener at the address. invalid: it is not this
// host's, or a broadcast address; as a clause without a subject. Asks the kernel by a UDP socket,
// which follows net.ipv4.ip_nonlocal_bind as listening does, and sends nothing.
base::Result<void> check_own_address(const Address& address);

// What start_connect() makes for an address of this family. None where the host gives none, which
// errno explains.
//
// `shares_port`: a listener of this service can open the port that the kernel will give to the
// connection, now and in TIME_WAIT (SO_REUSEADDR on both; the kernel gives no port of a listener to
// a connection anyway). It costs a call.
base::Fd make_socket(int family, bool shares_port = false);

// Starts to connect with TCP_NODELAY set and urgent bytes inline. Writable: ask
// take_error() how it went. An error is one that the host reports at once; see net/error_blame.
struct ConnectError {
  ErrorStep step = ErrorStep::connect;
  int number = 0;  // errno
};
base::Result<base::Fd, ConnectError> start_connect(const Address& address,
                                                   bool shares_port = false);
// By a socket of make_socket() for the address's family. Nothing: it is under way.
std::optional<ConnectError> start_connect(int socket, const Address& address);

struct Accepted {
  base::Fd fd;
  Address peer;
  base::Instant at = std::chrono::steady_clock::now();
};
// The errno as the error case: EAGAIN when nobody waits.
struct AcceptResult {
  Accepted accepted;
  int error = 0;
};
AcceptResult accept(int listener);
// How many could be accepted from a TCP listener at once; 0 for anything else. Kernel behaviour:
// TCP_INFO of a listener has that number as tcpi_unacked (tcp_get_info() of Linux), as ss(8) shows
// it.
int waiting_clients(int listener);

// SO_ERROR, read and cleared.
int take_error(int fd);

Address local_address(int fd);
Address peer_address(int fd);

// SO_PEERCRED and SO_PEERGROUPS of a unix socket's peer: as it was when it connected.
struct PeerCredentials {
  uid_t uid = 0;
  gid_t gid = 0;
  pid_t pid = 0;
  std::vector<gid_t> groups;  // the supplementary ones
};
base::Result<PeerCredentials> peer_credentials(int fd);

// Makes the coming close(2) send a reset instead of an orderly end, dropping what was not sent yet.
void reset_on_close(int fd);
// Takes that back.
void end_on_close(int fd);
bool resets_on_close(int fd);
// Ends the connection now, by a reset, whoever else has copies of the descriptor.
void end_connection(int fd);
// A listener takes no clients any more and resets those that wait, whoever has copies of it.
void stop_listening(int fd);
bool is_listening(int fd);
bool is_socket(int fd);
// Another one for each socket of the host; its copies share it (socket(7): SO_COOKIE).
std::uint64_t socket_cookie(int fd);
// Is a TCP socket's connection over, be it by a reset or by an end of both sides that both know of?
bool is_closed(int fd);

// What the peer of a connected socket has done, whatever of its bytes waits to be read.
enum class PeerEnd : unsigned char {
  none,   // it may send more
  ended,  // it sends no more (FIN); it may still read
  gone,   // the connection is over, by a reset or an error
};
PeerEnd peer_end(int fd);

// Keepalive on a socket that exists.
void set_keepalive(int fd, const Keepalive& keepalive);
void set_nodelay(int fd);
// Bounds the memory of what waits in the kernel to be sent. Clients of a TCP listener inherit it.
// The kernel doubles the number (socket(7)).
void set_send_buffer(int fd, int bytes);
void share_port(int fd);  // see make_socket()
// How long the peer may not acknowledge what was sent before it is taken for dead (tcp(7):
// TCP_USER_TIMEOUT).
void set_user_timeout(int fd, std::chrono::milliseconds timeout);
// An urgent byte stays in its place among the others; otherwise a read skips it, and it is lost to
// whoever does not ask for it (RFC 6093, tcp(7)). Inherited by accepted sockets on Linux.
void keep_urgent_inline(int fd);

}  // namespace sc::net
