#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace sc::core {

// How often something took how long, as it was at one moment. A value.
struct Histogram {
  std::span<const double> bounds;     // upper, inclusive, in seconds, rising
  std::vector<std::uint64_t> counts;  // of each bound alone, and one more for what is above all
  double sum = 0;                     // seconds
};

}  // namespace sc::core
