#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

#include "core/session.h"
#include "relay/session_end.h"

namespace sc::relay {

// How many failures of all streams are kept, each some 300 bytes. When it is used up each stream
// has its even part nonetheless, as others may hold theirs for good: n that fail in turn and then
// never again have kMost * (1 + ln(n / 200)) at the worst, 10,000 of them 98,000.
struct FailureBudget {
  static constexpr std::size_t kMost = 20'000;
  std::atomic<std::size_t> used{0};     // relaxed, as the next one
  std::atomic<std::size_t> streams{0};  // that have some
};

// A stream's latest sessions that ended otherwise than finished: core::kMostFailures, or its even
// part of a budget that is used up, but one at least. Written by the workers, read by the control
// thread; not by mailbox, as a backend that is down makes tens of thousands a second.
class FailureLog {
 public:
  explicit FailureLog(std::shared_ptr<FailureBudget> budget) : budget_(std::move(budget)) {}
  FailureLog(const FailureLog&) = delete;
  FailureLog& operator=(const FailureLog&) = delete;
  ~FailureLog();

  void add(SessionEnd end);
  // The latest first. Holds up the workers' add() for as long as it takes to copy pointers to them.
  std::vector<core::EndedSession> told() const;

 private:
  using Kept = std::shared_ptr<const SessionEnd>;

  const std::shared_ptr<FailureBudget> budget_;  // counters may outlive the pool
  mutable std::mutex mutex_;
  std::deque<Kept> ends_;  // guarded by mutex_
};

// What only a stream has that failed once: there are thousands that never do.
struct StreamFailures {
  explicit StreamFailures(std::shared_ptr<FailureBudget> budget) : log(std::move(budget)) {}

  std::array<std::atomic<std::uint64_t>, core::kEndReasons> ended{};  // by reason; relaxed
  FailureLog log;
};

}  // namespace sc::relay
