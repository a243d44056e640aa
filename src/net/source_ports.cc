#include "net/source_ports.h"

#include <algorithm>
#include <fstream>
#include <string>

#include "base/text.h"

namespace sc::net {

std::optional<SourcePorts> source_ports() {
  std::ifstream file("/proc/sys/net/ipv4/ip_local_port_range");
  SourcePorts range;
  if (!(file >> range.first >> range.last)) return std::nullopt;
  return range;
}

bool may_be_source(std::uint16_t first, std::uint16_t last) {
  const auto given = source_ports();
  if (!given) return false;
  std::ifstream file("/proc/sys/net/ipv4/ip_local_reserved_ports");
  std::string reserved;
  std::getline(file, reserved);
  return may_be_source(first, last, *given, reserved);
}

bool may_be_source(std::uint16_t first, std::uint16_t last, const SourcePorts& given,
                   std::string_view reserved) {
  std::uint32_t next = std::max(first, given.first);  // the lowest port that may be one
  const std::uint32_t end = std::min(last, given.last);
  // The kernel prints them sorted.
  while (next <= end && !reserved.empty()) {
    const std::string_view range = reserved.substr(0, reserved.find(','));
    reserved.remove_prefix(std::min(range.size() + 1, reserved.size()));
    const std::size_t dash = range.find('-');
    const auto low = base::parse_port(std::string(range.substr(0, dash)));
    const auto high = dash == std::string_view::npos
                          ? low
                          : base::parse_port(std::string(range.substr(dash + 1)));
    if (!low || !high) break;
    if (*low <= next && next <= *high) next = *high + 1U;
  }
  return next <= end;
}

}  // namespace sc::net
