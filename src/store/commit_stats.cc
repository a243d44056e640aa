#include "store/commit_stats.h"

#include <algorithm>

namespace sc::store {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

double seconds(std::chrono::nanoseconds duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace

void CommitStats::count(std::chrono::nanoseconds took, bool failed) {
  const auto bound = std::lower_bound(kBounds.begin(), kBounds.end(), seconds(took));
  counts_[static_cast<std::size_t>(bound - kBounds.begin())].fetch_add(1, kRelaxed);
  nanoseconds_.fetch_add(took.count(), kRelaxed);
  if (failed) failures_.fetch_add(1, kRelaxed);
}

core::Histogram CommitStats::times() const {
  core::Histogram out{kBounds, {}, seconds(std::chrono::nanoseconds(nanoseconds_.load(kRelaxed)))};
  for (const auto& each : counts_) out.counts.push_back(each.load(kRelaxed));
  return out;
}

}  // namespace sc::store
