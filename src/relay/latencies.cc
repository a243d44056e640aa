#include "relay/latencies.h"

#include <algorithm>

namespace sc::relay {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr double kMicrosPerSecond = 1e6;

// There is one writer, so no locked addition is needed.
void increase(std::atomic<std::uint64_t>& number, std::uint64_t by) {
  number.store(number.load(kRelaxed) + by, kRelaxed);
}

}  // namespace

void Latencies::add(const SessionEnd& end) {
  using std::chrono::microseconds;
  const bool is_reached = end.times.connected != SessionTimes::kNever;
  if (is_reached) add(connect_, kConnectBounds, microseconds(end.times.connected));
  if (is_reached && end.times.first_byte >= 0)
    add(first_byte_, kConnectBounds, microseconds(end.times.first_byte - end.times.connected));
  add(duration_, kDurationBounds, end.ended_after);
}

void Latencies::add(Meter& meter, const Bounds& bounds, std::chrono::microseconds took) {
  const std::int64_t us = std::max<std::int64_t>(took.count(), 0);
  const double seconds = static_cast<double>(us) / kMicrosPerSecond;
  std::size_t at = 0;
  while (at < bounds.size() && seconds > bounds[at]) ++at;
  increase(meter.counts[at], 1);
  increase(meter.sum, static_cast<std::uint64_t>(us));
}

void Latencies::add_to(SessionLatencies& sum) const {
  add_to(connect_, sum.connect);
  add_to(first_byte_, sum.first_byte);
  add_to(duration_, sum.duration);
}

void Latencies::add_to(const Meter& meter, core::Histogram& sum) {
  for (std::size_t i = 0; i < meter.counts.size(); ++i)
    sum.counts[i] += meter.counts[i].load(kRelaxed);
  sum.sum += static_cast<double>(meter.sum.load(kRelaxed)) / kMicrosPerSecond;
}

SessionLatencies Latencies::none() {
  const std::vector<std::uint64_t> zeros(kConnectBounds.size() + 1);
  return {{kConnectBounds, zeros, 0}, {kConnectBounds, zeros, 0}, {kDurationBounds, zeros, 0}};
}

}  // namespace sc::relay
