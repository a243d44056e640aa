#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace sc::net {

// Both ends included.
struct SourcePorts {
  std::uint16_t first = 0;
  std::uint16_t last = 0;
  bool operator==(const SourcePorts&) const = default;
};

// The ports that the kernel gives to connections of this host (ip(7): net.ipv4.ip_local_port_range,
// which holds for IPv6 too). nullopt: /proc does not say. Reads a file at each call.
std::optional<SourcePorts> source_ports();

// Whether the kernel gives a port from `first` to `last` to connections: one in source_ports() that
// is not in net.ipv4.ip_local_reserved_ports. Reads two files at each call.
bool may_be_source(std::uint16_t first, std::uint16_t last);
// The same for known settings; `reserved` as the kernel prints it: `8080,9000-9009`.
bool may_be_source(std::uint16_t first, std::uint16_t last, const SourcePorts& given,
                   std::string_view reserved);

}  // namespace sc::net
