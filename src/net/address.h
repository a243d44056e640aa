#pragma once

#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace sc::net {

// A socket address: IPv4, IPv6 or a unix path. A value.
class Address {
 public:
  Address() = default;  // AF_UNSPEC
  Address(const sockaddr* address, socklen_t size);

  // Parses an IP literal without brackets. A link-local one has its zone (`fe80::1%eth0`, RFC 4007
  // section 11). not_found: the zone is no interface of this host now.
  static base::Result<Address> parse_ip(std::string_view text, std::uint16_t port);
  static Address any_v4(std::uint16_t port);
  static Address any_v6(std::uint16_t port);

  int family() const { return storage_.ss_family; }
  bool is_unix() const { return family() == AF_UNIX; }
  // 127/8, ::1, or 127/8 mapped into IPv6.
  bool is_loopback() const;
  // 0.0.0.0, ::, or the first mapped into IPv6: dialled, they lead to loopback.
  bool is_wildcard() const;
  // fe80::/10. Without a zone such an address does not show its network.
  bool is_link_local() const;
  // The IPv4 address that is mapped into this IPv6 one (RFC 4291 section 2.5.5.2); else itself.
  Address unmapped() const;
  // 0 for what has none.
  std::uint16_t port() const;
  void set_port(std::uint16_t port);

  // Without port, a link-local address with its zone; IPv4 mapped into IPv6 is shown as IPv4, a
  // unix address as `unix`.
  std::string ip() const;
  // `1.2.3.4:80`, `[::1]:80`, `unix`.
  std::string to_string() const;

  const sockaddr* raw() const { return reinterpret_cast<const sockaddr*>(&storage_); }
  socklen_t size() const { return size_; }

  bool operator==(const Address& other) const;

 private:
  sockaddr_storage storage_{};
  socklen_t size_ = 0;
};

// An IP and a port in 20 bytes, for what is kept of very many; IPv4 mapped into IPv6 becomes IPv4.
// What is neither becomes empty. A value. The zone of a link-local address lies in its bytes 4 to
// 7, as in BSD kernels: they are zero in fe80::/64 (RFC 4291 section 2.5.6).
class PackedAddress {
 public:
  PackedAddress() = default;  // empty
  explicit PackedAddress(const Address& address);

  bool is_empty() const { return family_ == 0; }
  Address address() const;
  // As Address has it; nothing when it is empty.
  std::string to_string() const;
  bool has_ip_of(const PackedAddress& other) const {
    return family_ == other.family_ && ip_ == other.ip_;
  }

  bool operator==(const PackedAddress&) const = default;

 private:
  std::array<unsigned char, 16> ip_{};  // network order; of IPv4 the first four
  std::uint16_t port_ = 0;
  std::uint8_t family_ = 0;  // 4 or 6
};

static_assert(sizeof(PackedAddress) == 20);

}  // namespace sc::net
