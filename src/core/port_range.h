#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace sc::core {

// Both ends included.
struct PortRange {
  std::uint16_t first = 0;
  std::uint16_t last = 0;
  bool operator==(const PortRange&) const = default;
};

// The ports that new streams may have: sorted, neither overlapping nor touching. A value.
class PortRanges {
 public:
  PortRanges() = default;  // no port

  // `9000-9009`, `8080`, `9000-9009,10000-10999`; 1 to 65535, first <= last; ranges may overlap and
  // are merged.
  static base::Result<PortRanges> parse(std::string_view text);

  bool contains(std::uint16_t port) const;
  std::size_t size() const;  // ports, 0 to 65535
  const std::vector<PortRange>& ranges() const { return ranges_; }
  // As parse() reads it.
  std::string to_string() const;

  bool operator==(const PortRanges&) const = default;

 private:
  std::vector<PortRange> ranges_;
};

}  // namespace sc::core
