#pragma once

#include <array>
#include <chrono>
#include <cstdint>

namespace sc::bench {

// Durations counted in cells that are at most 1/128 of their value wide; 64 KiB whatever it holds.
class Histogram {
 public:
  void add(std::chrono::nanoseconds duration);
  std::uint64_t count() const { return count_; }
  // The duration that `part` (0 to 1) of all are not above, in microseconds; 0 when there are none.
  double percentile(double part) const;
  double max() const { return static_cast<double>(max_) / 1000.0; }

 private:
  static constexpr unsigned kBits = 7;  // of a value that its cell keeps below the leading one

  std::array<std::uint64_t, std::size_t{64 - kBits + 1} << kBits> cells_{};
  std::uint64_t count_ = 0;
  std::uint64_t max_ = 0;  // ns
};

}  // namespace sc::bench
