#include "net/address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/text.h"

namespace sc::net {
namespace {

const sockaddr_in& as_v4(const sockaddr* address) {
  return *reinterpret_cast<const sockaddr_in*>(address);
}
const sockaddr_in6& as_v6(const sockaddr* address) {
  return *reinterpret_cast<const sockaddr_in6*>(address);
}

bool is_loopback_v4(std::uint32_t network_order) { return (ntohl(network_order) >> 24) == 127; }

// The IPv4 address that a mapped IPv6 one carries in its last four bytes (RFC 4291
// section 2.5.5.2).
in_addr unmap(const in6_addr& mapped) {
  in_addr v4{};
  std::memcpy(&v4, &mapped.s6_addr[12], sizeof v4);
  return v4;
}

constexpr std::size_t kZoneAt = 4;  // in a packed link-local address

std::string zone_name(std::uint32_t index) {
  std::array<char, IF_NAMESIZE> name{};
  return ::if_indextoname(index, name.data()) != nullptr ? name.data() : std::to_string(index);
}

// By name, or by number as `ip -6 route` prints it where the name is gone; 0: none of this host's.
std::uint32_t zone_index(const std::string& zone) {
  if (const std::uint32_t index = ::if_nametoindex(zone.c_str()); index != 0) return index;
  return static_cast<std::uint32_t>(base::parse_unsigned(zone, 1, INT32_MAX).value_or(0));
}

}  // namespace

Address::Address(const sockaddr* address, socklen_t size)
    : size_(std::min<socklen_t>(size, sizeof storage_)) {
  std::memcpy(&storage_, address, size_);
}

base::Result<Address> Address::parse_ip(std::string_view text, std::uint16_t port) {
  const std::size_t percent = text.find('%');
  const std::string_view digits = text.substr(0, percent);
  const std::string copy(digits.substr(0, digits.find('\0')));  // inet_pton reads no further
  const bool is_whole = copy.size() == digits.size() &&
                        (percent == std::string_view::npos || base::is_ip_literal(text));
  sockaddr_in v4{};
  if (is_whole && percent == std::string_view::npos &&
      ::inet_pton(AF_INET, copy.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    return Address(reinterpret_cast<const sockaddr*>(&v4), sizeof v4);
  }
  sockaddr_in6 v6{};
  if (is_whole && ::inet_pton(AF_INET6, copy.c_str(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    if (percent != std::string_view::npos) {
      const std::string zone(text.substr(percent + 1));
      v6.sin6_scope_id = zone_index(zone);
      if (v6.sin6_scope_id == 0)
        return base::Error{base::Errc::not_found,
                           "this host has no interface " + base::quoted(zone)};
    }
    return Address(reinterpret_cast<const sockaddr*>(&v6), sizeof v6);
  }
  return base::Error{base::Errc::invalid, base::quoted(text) + " is not an IP address"};
}

Address Address::any_v4(std::uint16_t port) { return *parse_ip("0.0.0.0", port); }
Address Address::any_v6(std::uint16_t port) { return *parse_ip("::", port); }

bool Address::is_loopback() const {
  if (family() == AF_INET) return is_loopback_v4(as_v4(raw()).sin_addr.s_addr);
  if (family() != AF_INET6) return false;
  const in6_addr& v6 = as_v6(raw()).sin6_addr;
  if (IN6_IS_ADDR_V4MAPPED(&v6)) return is_loopback_v4(unmap(v6).s_addr);
  return IN6_IS_ADDR_LOOPBACK(&v6);
}

bool Address::is_wildcard() const {
  if (family() == AF_INET) return as_v4(raw()).sin_addr.s_addr == INADDR_ANY;
  if (family() != AF_INET6) return false;
  const in6_addr& v6 = as_v6(raw()).sin6_addr;
  if (IN6_IS_ADDR_V4MAPPED(&v6)) return unmap(v6).s_addr == INADDR_ANY;
  return IN6_IS_ADDR_UNSPECIFIED(&v6);
}

bool Address::is_link_local() const {
  return family() == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&as_v6(raw()).sin6_addr);
}

Address Address::unmapped() const {
  if (family() != AF_INET6) return *this;
  const sockaddr_in6& v6 = as_v6(raw());
  if (!IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) return *this;
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_port = v6.sin6_port;
  v4.sin_addr = unmap(v6.sin6_addr);
  return {reinterpret_cast<const sockaddr*>(&v4), sizeof v4};
}

std::uint16_t Address::port() const {
  if (family() == AF_INET) return ntohs(as_v4(raw()).sin_port);
  if (family() == AF_INET6) return ntohs(as_v6(raw()).sin6_port);
  return 0;
}

void Address::set_port(std::uint16_t port) {
  if (family() == AF_INET) reinterpret_cast<sockaddr_in*>(&storage_)->sin_port = htons(port);
  if (family() == AF_INET6) reinterpret_cast<sockaddr_in6*>(&storage_)->sin6_port = htons(port);
}

std::string Address::ip() const {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (family() == AF_INET) {
    ::inet_ntop(AF_INET, &as_v4(raw()).sin_addr, text.data(), text.size());
    return text.data();
  }
  if (family() == AF_INET6) {
    const in6_addr& v6 = as_v6(raw()).sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(&v6)) {
      const in_addr v4 = unmap(v6);
      ::inet_ntop(AF_INET, &v4, text.data(), text.size());
    } else {
      ::inet_ntop(AF_INET6, &v6, text.data(), text.size());
      if (const std::uint32_t zone = as_v6(raw()).sin6_scope_id; zone != 0 && is_link_local())
        return std::string(text.data()) + "%" + zone_name(zone);
    }
    return text.data();
  }
  return is_unix() ? "unix" : "unknown";
}

std::string Address::to_string() const {
  if (family() != AF_INET && family() != AF_INET6) return ip();
  return base::to_string(base::HostPort{ip(), port()});
}

PackedAddress::PackedAddress(const Address& address) : port_(address.port()) {
  const in6_addr* v6 = address.family() == AF_INET6 ? &as_v6(address.raw()).sin6_addr : nullptr;
  if (address.family() == AF_INET || (v6 != nullptr && IN6_IS_ADDR_V4MAPPED(v6))) {
    const in_addr v4 = v6 != nullptr ? unmap(*v6) : as_v4(address.raw()).sin_addr;
    std::memcpy(ip_.data(), &v4, sizeof v4);
    family_ = 4;
  } else if (v6 != nullptr) {
    std::memcpy(ip_.data(), v6, sizeof *v6);
    family_ = 6;
    const std::uint32_t zone = htonl(as_v6(address.raw()).sin6_scope_id);
    if (address.is_link_local()) std::memcpy(&ip_.at(kZoneAt), &zone, sizeof zone);
  }
}

Address PackedAddress::address() const {
  if (family_ == 4) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port_);
    std::memcpy(&v4.sin_addr, ip_.data(), sizeof v4.sin_addr);
    return {reinterpret_cast<const sockaddr*>(&v4), sizeof v4};
  }
  if (family_ == 0) return {};
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port_);
  std::memcpy(&v6.sin6_addr, ip_.data(), sizeof v6.sin6_addr);
  if (IN6_IS_ADDR_LINKLOCAL(&v6.sin6_addr)) {
    std::uint32_t zone = 0;
    std::memcpy(&zone, &v6.sin6_addr.s6_addr[kZoneAt], sizeof zone);
    v6.sin6_scope_id = ntohl(zone);
    std::memset(&v6.sin6_addr.s6_addr[kZoneAt], 0, sizeof zone);
  }
  return {reinterpret_cast<const sockaddr*>(&v6), sizeof v6};
}

std::string PackedAddress::to_string() const {
  return is_empty() ? std::string() : address().to_string();
}

bool Address::operator==(const Address& other) const {
  return size_ == other.size_ && std::memcmp(&storage_, &other.storage_, size_) == 0;
}

}  // namespace sc::net
