#include "net/source_ports.h"

#include <fstream>

namespace sc::net {

std::optional<SourcePorts> source_ports() {
  std::ifstream file("/proc/sys/net/ipv4/ip_local_port_range");
  SourcePorts range;
  if (!(file >> range.first >> range.last)) return std::nullopt;
  return range;
}

}  // namespace sc::net
