#include "relay/failure_log.h"

#include <utility>

namespace sc::relay {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

}  // namespace

FailureLog::~FailureLog() { budget_->used.fetch_sub(ends_.size(), kRelaxed); }

void FailureLog::add(SessionEnd end) {
  std::deque<SessionEnd> gone;  // freed without the lock
  const std::lock_guard lock(mutex_);
  const auto drop = [&] {
    gone.push_back(std::move(ends_.front()));
    ends_.pop_front();
    budget_->used.fetch_sub(1, kRelaxed);
  };
  if (ends_.size() >= core::kMostFailures) drop();
  // Of a budget that is used up a stream gives back one with each that it adds, so that those that
  // began to fail later get their part.
  for (int i = 0; i < 2; ++i)
    if (!ends_.empty() && budget_->used.load(kRelaxed) >= FailureBudget::kMost) drop();
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
