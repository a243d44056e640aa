#include "net/error_blame.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>

#include "base/fd.h"
#include "net/source_ports.h"

namespace sc::net {
namespace {

struct Row {
  int error;
  Blame socket;
  Blame connect;
  Blame answer;
  Blame poll;
  Blame relay;
};

using enum Blame;

// What is not in the table: each step's first row.
constexpr Row kOthers{0, way, way, peer, service, peer};

constexpr std::array kRows{
    // The peer answered already, as on loopback.
    Row{ECONNREFUSED, way, peer, peer, service, peer},
    Row{ECONNRESET, way, peer, peer, service, peer},
    Row{ETIMEDOUT, way, peer, peer, service, peer},
    // No descriptor, memory or port is left.
    Row{EMFILE, lack, lack, lack, lack, lack},
    Row{ENFILE, lack, lack, lack, lack, lack},
    Row{ENOBUFS, lack, lack, lack, lack, lack},
    Row{ENOMEM, lack, lack, lack, lack, lack},
    Row{ENOSPC, lack, lack, lack, lack, lack},
    Row{EADDRNOTAVAIL, lack, lack, lack, service, lack},
    Row{EADDRINUSE, lack, lack, lack, service, lack},
    Row{EAGAIN, lack, lack, lack, service, service},
    // This host forbids it. A router's ICMPv6 message can arrive as EACCES later.
    Row{EPERM, way, way, way, service, way},
    Row{EACCES, way, way, peer, service, peer},
    // A route or an interface of this host; later, a router's ICMP message.
    Row{EINVAL, way, way, service, service, service},
    Row{ENETDOWN, way, way, way, service, way},
    Row{ENODEV, way, way, way, service, way},
    // A descriptor or a pointer that is none.
    Row{EBADF, service, service, service, service, service},
    Row{ENOTSOCK, service, service, service, service, service},
    Row{EFAULT, service, service, service, service, service},
    Row{EALREADY, service, service, service, service, service},
    Row{EISCONN, service, service, service, service, service},
    Row{EIO, way, way, peer, service, service},
};

std::string route_hint(const Address& to) {
  return "`ip route get " + to.ip() + "` shows the route";
}

std::string ports_hint(const Address& to) {
  if (!has_source_address(to))
    return std::string("this host has no source address for it; ") +
           (to.family() == AF_INET6 ? "is IPv6 disabled (net.ipv6.conf.all.disable_ipv6)?"
                                    : "`ip address` shows what it has");
  const auto range = source_ports();
  return "no source port is left for connections to " + to.to_string() +
         (range ? " in net.ipv4.ip_local_port_range (" + std::to_string(range->first) + "-" +
                      std::to_string(range->last) + ")"
                : "") +
         "; widen that range, or let the backend listen at further addresses or ports";
}

// socket(2) knows no route yet.
std::string socket_hint(int error, const Address& to) {
  const std::string family = to.family() == AF_INET6 ? "IPv6" : "IPv4";
  switch (error) {
    case EPERM:
    case EACCES:
      return "a security module or a seccomp filter of this host forbids " + family + " sockets";
    case EAFNOSUPPORT:
      return "this host has no " + family + ", or RestrictAddressFamilies= of the unit forbids it";
    default:
      return {};
  }
}

}  // namespace

Blame blame_of(ErrorStep step, int error) {
  const auto* found = std::find_if(kRows.begin(), kRows.end(),
                                   [error](const Row& row) { return row.error == error; });
  const Row& row = found != kRows.end() ? *found : kOthers;
  switch (step) {
    case ErrorStep::socket:
      return row.socket;
    case ErrorStep::connect:
      return row.connect;
    case ErrorStep::answer:
      return row.answer;
    case ErrorStep::poll:
      return row.poll;
    case ErrorStep::relay:
      break;
  }
  return row.relay;
}

std::string remedy_of(ErrorStep step, int error, const Address& to) {
  const Blame blame = blame_of(step, error);
  if (blame != Blame::lack && blame != Blame::way) return {};
  if (step == ErrorStep::socket && blame == Blame::way) return socket_hint(error, to);
  switch (error) {
    case EMFILE:
      return "the service has no descriptor left; raise LimitNOFILE= of its unit";
    case ENFILE:
      return "this host has no descriptor left; raise fs.file-max";
    case ENOBUFS:
    case ENOMEM:
      return "this host has no memory left for it; see net.ipv4.tcp_mem and MemoryMax= of the unit";
    case ENOSPC:
      return "the service may watch no further descriptor; raise fs.epoll.max_user_watches";
    case EADDRNOTAVAIL:
    case EADDRINUSE:
    case EAGAIN:
      return ports_hint(to);
    case EPERM:
      return "a firewall, a BPF program or a security module of this host forbids it";
    case EACCES:
      return "a route of type prohibit, a firewall or a security module of this host forbids it; " +
             route_hint(to);
    case EINVAL:
      return "a route of type blackhole of this host drops it, or the address needs an interface "
             "such as %eth0; " +
             route_hint(to);
    case ENETUNREACH:
      return "this host has no route to it; " + route_hint(to);
    case EHOSTUNREACH:
      return "a route of type unreachable of this host rejects it; " + route_hint(to);
    case ENETDOWN:
      return "the interface of its route is down; " + route_hint(to);
    case EAFNOSUPPORT:
      return std::string("this host has no ") + (to.family() == AF_INET6 ? "IPv6" : "IPv4");
    default:
      return {};
  }
}

bool has_source_address(const Address& to) {
  const base::Fd fd(::socket(to.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0));
  return !fd || ::connect(fd.get(), to.raw(), to.size()) == 0 || errno != EADDRNOTAVAIL;
}

}  // namespace sc::net
