#pragma once

#include <cstdint>
#include <optional>

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

}  // namespace sc::net
