#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "core/histogram.h"

namespace sc::store {

// The transactions so far. Counted by the store's thread, read by any; relaxed, as each number
// stands for itself.
class CommitStats {
 public:
  // `failed`: the disk or the database did not take it, or a part of it.
  void count(std::chrono::nanoseconds took, bool failed);

  std::uint64_t failures() const { return failures_.load(std::memory_order_relaxed); }
  // How long they took, fsync included; those that failed are among them.
  core::Histogram times() const;

 private:
  // Seconds. A millisecond or two with a good SSD, tens of them with a disk; more is trouble.
  static constexpr std::array kBounds{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                      0.1,    0.25,  0.5,    1.0,   2.5,  5.0};

  std::array<std::atomic<std::uint64_t>, kBounds.size() + 1> counts_{};
  std::atomic<std::int64_t> nanoseconds_{0};
  std::atomic<std::uint64_t> failures_{0};
};

}  // namespace sc::store
