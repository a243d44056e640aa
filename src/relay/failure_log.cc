#include "relay/failure_log.h"

#include <algorithm>
#include <array>
#include <utility>

namespace sc::relay {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

}  // namespace

FailureLog::~FailureLog() {
  if (ends_.empty()) return;
  budget_->used.fetch_sub(ends_.size(), kRelaxed);
  budget_->streams.fetch_sub(1, kRelaxed);
}

void FailureLog::add(SessionEnd end) {
  auto kept = std::make_shared<const SessionEnd>(std::move(end));
  std::array<Kept, 2> gone;  // freed without the lock
  std::size_t dropped = 0;
  const std::lock_guard lock(mutex_);
  const auto drop = [&] {
    gone.at(dropped++) = std::move(ends_.front());
    ends_.pop_front();
    budget_->used.fetch_sub(1, kRelaxed);
  };
  if (ends_.empty()) {
    budget_->streams.fetch_add(1, kRelaxed);
  } else if (budget_->used.load(kRelaxed) >= FailureBudget::kMost) {
    // One that has more than its part gives back one each time. Those that have less grow
    // nonetheless, as others may hold what they have without ever failing again.
    const std::size_t fair = std::clamp<std::size_t>(
        FailureBudget::kMost / budget_->streams.load(kRelaxed), 1, core::kMostFailures);
    if (ends_.size() > fair) drop();
    if (ends_.size() >= fair) drop();
  } else if (ends_.size() >= core::kMostFailures) {
    drop();
  }
  ends_.push_back(std::move(kept));
  budget_->used.fetch_add(1, kRelaxed);
}

std::vector<core::EndedSession> FailureLog::told() const {
  std::vector<Kept> kept;
  kept.reserve(core::kMostFailures);
  {
    const std::lock_guard lock(mutex_);
    kept.assign(ends_.rbegin(), ends_.rend());
  }
  std::vector<core::EndedSession> told;
  told.reserve(kept.size());
  for (const Kept& end : kept) told.push_back(to_told(*end));
  return told;
}

}  // namespace sc::relay
