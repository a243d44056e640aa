#pragma once

#include <sys/socket.h>

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

  // An IP literal without brackets; a zone (`fe80::1%eth0`) is not accepted.
  static base::Result<Address> parse_ip(std::string_view text, std::uint16_t port);
  static Address any_v4(std::uint16_t port);
  static Address any_v6(std::uint16_t port);

  int family() const { return storage_.ss_family; }
  bool is_unix() const { return family() == AF_UNIX; }
  // 127/8, ::1, or 127/8 mapped into IPv6.
  bool is_loopback() const;
  // 0.0.0.0, ::, or the first mapped into IPv6: dialled, they lead to loopback.
  bool is_wildcard() const;
  // 0 for what has none.
  std::uint16_t port() const;
  void set_port(std::uint16_t port);

  // Without port; IPv4 mapped into IPv6 is shown as IPv4, a unix address as `unix`.
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

}  // namespace sc::net
