#include "relay/counters.h"

#include "relay/failure_log.h"

namespace sc::relay {

StreamCounters::~StreamCounters() { delete failures_.load(std::memory_order_relaxed); }

StreamFailures& StreamCounters::failures(const std::shared_ptr<FailureBudget>& budget) {
  StreamFailures* known = failures_.load(std::memory_order_acquire);
  if (known != nullptr) return *known;
  auto made = std::make_unique<StreamFailures>(budget);
  if (failures_.compare_exchange_strong(known, made.get(), std::memory_order_acq_rel))
    return *made.release();
  return *known;  // another worker was faster
}

std::array<std::uint64_t, core::kEndReasons> StreamCounters::ended() const {
  std::array<std::uint64_t, core::kEndReasons> ended{};
  if (const StreamFailures* failed = failures())
    for (std::size_t i = 0; i < ended.size(); ++i)
      ended[i] = failed->ended[i].load(std::memory_order_relaxed);
  ended[static_cast<std::size_t>(core::EndReason::finished)] =
      sessions_finished.load(std::memory_order_relaxed);
  ended[static_cast<std::size_t>(core::EndReason::empty)] =
      sessions_empty.load(std::memory_order_relaxed);
  return ended;
}

}  // namespace sc::relay
