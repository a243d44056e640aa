#include "net/local_addresses.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <mutex>
#include <stdexcept>

#include "base/log.h"
#include "base/result.h"

namespace sc::net {
namespace {

constexpr int kFull = 128;
constexpr int kMappedBits = 96;  // before an IPv4 address that is mapped into IPv6
constexpr std::size_t kBuffer = 32768;
constexpr int kTimeoutSeconds = 1;  // the kernel answers a dump at once; bounds a fault

base::Fd open_netlink(std::uint32_t groups, int flags) {
  base::Fd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | flags, NETLINK_ROUTE));
  if (!fd) return fd;
  sockaddr_nl own{};
  own.nl_family = AF_NETLINK;
  own.nl_groups = groups;
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&own), sizeof own) != 0) fd.reset();
  return fd;
}

// Drops all messages but changes of addresses and of routes of type `local`. A router may have a
// million other routes that change all the time. The kernel sends one message in each datagram
// here.
void take_local_routes_alone(int fd) {
  constexpr std::uint32_t kTypeOffset = offsetof(nlmsghdr, nlmsg_type);
  constexpr std::uint32_t kRouteTypeOffset = NLMSG_HDRLEN + offsetof(rtmsg, rtm_type);
  // BPF loads a half-word as big-endian; netlink has the host's order.
  std::array<sock_filter, 7> program{{
      BPF_STMT(BPF_LD | BPF_H | BPF_ABS, kTypeOffset),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_NEWROUTE), 1, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_DELROUTE), 0, 2),
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, kRouteTypeOffset),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, RTN_LOCAL, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
      BPF_STMT(BPF_RET | BPF_K, 0),
  }};
  sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  // Without it more changes are looked at than need be, and no address is missed.
  ::setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter);
}

struct LocalRoutesRequest {
  nlmsghdr header{};
  rtmsg route{};
};

}  // namespace

LocalAddresses::LocalAddresses(loop::Loop& loop)
    : changes_(open_netlink(
          RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE,
          SOCK_NONBLOCK)) {
  if (changes_) {
    take_local_routes_alone(changes_.get());
    try {
      poll_.emplace(loop, changes_.get(), [this](loop::Ready) { on_change(); });
      poll_->watch(true, false);
    } catch (const std::runtime_error& failure) {
      base::log::warning("changes of this host's addresses are not noticed",
                         {{"reason", failure.what()}});
    }
  } else {
    base::log::warning("changes of this host's addresses are not noticed",
                       {{"reason", base::describe_errno("netlink", errno)}});
  }
  read_again();
}

// What the messages say is read from the table, once for all of them. ENOBUFS: some were lost.
void LocalAddresses::on_change() {
  std::array<char, 4096> ignored{};
  while (::recv(changes_.get(), ignored.data(), ignored.size(), 0) > 0 || errno == ENOBUFS ||
         errno == EINTR) {
  }
  read_again();
}

void LocalAddresses::read_again() {
  std::optional<Known> known = read();
  if (!known)
    base::log::warning("this host's addresses cannot be read",
                       {{"reason", base::describe_errno("netlink", errno)}});
  const std::unique_lock lock(mutex_);
  is_read_ = known.has_value();
  if (known) known_ = std::move(*known);
}

std::optional<LocalAddresses::Known> LocalAddresses::read() {
  const base::Fd socket = open_netlink(0, 0);
  if (!socket) return std::nullopt;
  // The kernel then sends this table alone (Linux 4.20); before, all routes.
  const int yes = 1;
  ::setsockopt(socket.get(), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &yes, sizeof yes);
  const timeval limit{kTimeoutSeconds, 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  Known known;
  for (const int family : {AF_INET, AF_INET6})
    if (!add_routes(socket.get(), family, known)) return std::nullopt;
  std::sort(known.hosts.begin(), known.hosts.end(),
            [](const Prefix& one, const Prefix& other) { return one.bytes < other.bytes; });
  return known;
}

// False: the kernel does not answer. A family or table that the host does not have is empty.
bool LocalAddresses::add_routes(int socket, int family, Known& known) {
  LocalRoutesRequest request;
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = RTM_GETROUTE;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.route.rtm_family = static_cast<unsigned char>(family);
  request.route.rtm_table = RT_TABLE_LOCAL;
  request.route.rtm_type = RTN_LOCAL;
  if (::send(socket, &request, sizeof request, 0) < 0) return false;
  alignas(nlmsghdr) std::array<char, kBuffer> buffer{};
  while (true) {
    const ssize_t got = ::recv(socket, buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    auto left = static_cast<int>(got);
    for (const auto* message = reinterpret_cast<const nlmsghdr*>(buffer.data());
         NLMSG_OK(message, left); message = NLMSG_NEXT(message, left)) {
      if (message->nlmsg_type == NLMSG_DONE || message->nlmsg_type == NLMSG_ERROR) return true;
      if (message->nlmsg_type == RTM_NEWROUTE)
        add_route(NLMSG_DATA(message), NLMSG_PAYLOAD(message, 0), known);
    }
  }
}

void LocalAddresses::add_route(const void* message, std::size_t size, Known& known) {
  rtmsg route{};
  if (size < sizeof route) return;
  std::memcpy(&route, message, sizeof route);
  if (route.rtm_type != RTN_LOCAL || route.rtm_table != RT_TABLE_LOCAL) return;
  const bool is_v4 = route.rtm_family == AF_INET;
  Prefix prefix;
  prefix.length = route.rtm_dst_len + (is_v4 ? kMappedBits : 0);
  if (is_v4) prefix.bytes[10] = prefix.bytes[11] = 0xff;
  const auto* bytes = static_cast<const char*>(message) + NLMSG_ALIGN(sizeof route);
  auto left = static_cast<int>(size - NLMSG_ALIGN(sizeof route));
  for (const auto* each = reinterpret_cast<const rtattr*>(bytes); RTA_OK(each, left);
       each = RTA_NEXT(each, left)) {
    const std::size_t length = RTA_PAYLOAD(each);
    if (each->rta_type == RTA_DST && length == (is_v4 ? sizeof(in_addr) : sizeof(in6_addr)))
      std::memcpy(&prefix.bytes[is_v4 ? 12 : 0], RTA_DATA(each), length);
    if (each->rta_type == RTA_OIF && length == sizeof prefix.scope && !is_v4)
      std::memcpy(&prefix.scope, RTA_DATA(each), length);
  }
  const bool is_link_local = prefix.bytes[0] == 0xfe && (prefix.bytes[1] & 0xc0) == 0x80;
  if (!is_link_local) prefix.scope = 0;
  (prefix.length == kFull ? known.hosts : known.prefixes).push_back(prefix);
}

bool LocalAddresses::contains(const Address& address) const {
  if (address.is_loopback() || address.is_wildcard()) return true;
  const std::shared_lock lock(mutex_);
  return is_in_table(address);
}

bool LocalAddresses::may_contain(const Address& address) const {
  if (address.is_loopback() || address.is_wildcard()) return true;
  const std::shared_lock lock(mutex_);
  return !is_read_ || is_in_table(address);
}

bool LocalAddresses::is_in_table(const Address& address) const {
  Bytes bytes{};
  std::uint32_t scope = 0;
  if (address.family() == AF_INET) {
    bytes[10] = bytes[11] = 0xff;
    std::memcpy(&bytes[12], &reinterpret_cast<const sockaddr_in*>(address.raw())->sin_addr,
                sizeof(in_addr));
  } else if (address.family() == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(address.raw());
    std::memcpy(bytes.data(), &v6->sin6_addr, bytes.size());
    scope = v6->sin6_scope_id;
  } else {
    return false;
  }
  const auto is_scope = [scope](const Prefix& each) {
    return scope == 0 || each.scope == 0 || each.scope == scope;
  };
  const auto first =
      std::lower_bound(known_.hosts.begin(), known_.hosts.end(), bytes,
                       [](const Prefix& each, const Bytes& sought) { return each.bytes < sought; });
  for (auto each = first; each != known_.hosts.end() && each->bytes == bytes; ++each)
    if (is_scope(*each)) return true;
  return std::any_of(known_.prefixes.begin(), known_.prefixes.end(), [&](const Prefix& each) {
    const auto whole = static_cast<std::size_t>(each.length / 8);
    const int rest = each.length % 8;
    return std::equal(bytes.begin(), bytes.begin() + whole, each.bytes.begin()) &&
           (rest == 0 || (bytes[whole] >> (8 - rest)) == (each.bytes[whole] >> (8 - rest)));
  });
}

}  // namespace sc::net
