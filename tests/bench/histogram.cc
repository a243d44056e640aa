#include "bench/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace sc::bench {

void Histogram::add(std::chrono::nanoseconds duration) {
  const auto value = static_cast<std::uint64_t>(std::max<std::int64_t>(0, duration.count()));
  const auto width = static_cast<unsigned>(std::bit_width(value));
  // Below 2^kBits a cell holds one value; above, each power of two has 2^kBits cells.
  const unsigned shift = width > kBits + 1 ? width - kBits - 1 : 0;
  ++cells_[(std::uint64_t{shift} << kBits) + (value >> shift)];
  ++count_;
  max_ = std::max(max_, value);
}

double Histogram::percentile(double part) const {
  const auto wanted =
      std::max<std::uint64_t>(1, static_cast<std::uint64_t>(std::ceil(part * double(count_))));
  std::uint64_t seen = 0;
  for (std::uint64_t cell = 0; cell < cells_.size(); ++cell) {
    seen += cells_[cell];
    if (seen < wanted) continue;
    const std::uint64_t shift = std::max<std::uint64_t>(cell >> kBits, 1) - 1;
    const std::uint64_t low = (cell - (shift << kBits)) << shift;
    const std::uint64_t high = low + (std::uint64_t{1} << shift) - 1;
    return static_cast<double>(std::min((low + high) / 2, max_)) / 1000.0;
  }
  return 0;
}

}  // namespace sc::bench
