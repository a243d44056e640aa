#include "relay/counters.h"

#include "relay/failure_log.h"

namespace sc::relay {
namespace {

constexpr std::chrono::milliseconds kTroubleEvery{1000};

}  // namespace

StreamCounters::~StreamCounters() { delete failures_.load(std::memory_order_relaxed); }

StreamFailures& StreamCounters::failures(const std::shared_ptr<FailureBudget>& budget) {
  StreamFailures* known = failures_.load(std::memory_order_acquire);
  if (known != nullptr) return *known;
  auto made = std::make_unique<StreamFailures>(budget);
  if (failures_.compare_exchange_strong(known, made.get(), std::memory_order_acq_rel))
    return *made.release();
  return *known;  // another worker was faster
}

bool StreamCounters::note_reach(core::Reach now_reached, std::chrono::milliseconds now) {
  constexpr auto kRelaxed = std::memory_order_relaxed;
  if (reach.load(kRelaxed) == now_reached) return false;
  if (now_reached != core::Reach::reached) {
    std::int64_t told = trouble_told_at.load(kRelaxed);
    if (told > (now - kTroubleEvery).count() ||
        !trouble_told_at.compare_exchange_strong(told, now.count()))
      return false;
  }
  return reach.exchange(now_reached) != now_reached;
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
