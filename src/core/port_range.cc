#include "core/port_range.h"

#include <algorithm>

#include "base/text.h"

namespace sc::core {
namespace {

base::Error bad_range(std::string_view text, std::string_view part) {
  return {base::Errc::invalid,
          base::quoted(text) + " is not a list of port ranges: " + base::quoted(part) +
              " should be a port or first-last, 1 to 65535, as in 9000-9009,10000-10999"};
}

}  // namespace

base::Result<PortRanges> PortRanges::parse(std::string_view text) {
  PortRanges out;
  std::string_view rest = text;
  while (true) {
    const std::size_t comma = rest.find(',');
    const std::string_view part = rest.substr(0, comma);
    const std::size_t dash = part.find('-');
    const auto first = base::parse_port(part.substr(0, dash));
    const auto last =
        dash == std::string_view::npos ? first : base::parse_port(part.substr(dash + 1));
    if (!first || !last || *first > *last) return bad_range(text, part);
    out.ranges_.push_back({*first, *last});
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 1);
  }
  std::sort(out.ranges_.begin(), out.ranges_.end(),
            [](const PortRange& a, const PortRange& b) { return a.first < b.first; });
  std::vector<PortRange> merged;
  for (const PortRange& range : out.ranges_) {
    if (!merged.empty() && range.first <= merged.back().last + 1) {
      merged.back().last = std::max(merged.back().last, range.last);
    } else {
      merged.push_back(range);
    }
  }
  out.ranges_ = std::move(merged);
  return out;
}

bool PortRanges::contains(std::uint16_t port) const {
  return std::any_of(ranges_.begin(), ranges_.end(), [&](const PortRange& range) {
    return range.first <= port && port <= range.last;
  });
}

std::size_t PortRanges::size() const {
  std::size_t ports = 0;
  for (const PortRange& range : ranges_)
    ports += static_cast<std::size_t>(range.last - range.first + 1);
  return ports;
}

std::string PortRanges::to_string() const {
  std::string out;
  for (const PortRange& range : ranges_) {
    if (!out.empty()) out += ',';
    out += std::to_string(range.first);
    if (range.last != range.first) out += '-' + std::to_string(range.last);
  }
  return out;
}

}  // namespace sc::core
