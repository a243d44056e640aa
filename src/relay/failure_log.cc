#include "relay/failure_log.h"

#include <algorithm>
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
  std::deque<SessionEnd> gone;  // freed without the lock
  const std::lock_guard lock(mutex_);
  const auto drop = [&] {
    gone.push_back(std::move(ends_.front()));
    ends_.pop_front();
    budget_->used.fetch_sub(1, kRelaxed);
  };
  if (ends_.empty()) {
    budget_->streams.fetch_add(1, kRelaxed);
  } else if (budget_->used.load(kRelaxed) >= FailureBudget::kMost) {
    // One that has more than its part gives back one each time, for those that came later.
    const std::size_t fair = FailureBudget::kMost / budget_->streams.load(kRelaxed);
    if (ends_.size() > std::max<std::size_t>(fair, 1)) drop();
    drop();
  } else if (ends_.size() >= core::kMostFailures) {
    drop();
  }
  ends_.push_back(std::move(end));
  budget_->used.fetch_add(1, kRelaxed);
}

std::vector<core::EndedSession> FailureLog::told() const {
  std::vector<core::EndedSession> told;
  const std::lock_guard lock(mutex_);
  told.reserve(ends_.size());
  for (auto end = ends_.rbegin(); end != ends_.rend(); ++end) told.push_back(to_told(*end));
  return told;
}

}  // namespace sc::relay
