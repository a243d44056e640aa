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

// What the failures of all streams may take together: each is some 300 bytes.
struct FailureBudget {
  static constexpr std::size_t kMost = 20'000;
  std::atomic<std::size_t> used{0};     // relaxed, as the next one
  std::atomic<std::size_t> streams{0};  // that have some
};

// A stream's latest sessions that ended otherwise than finished: core::kMostFailures, or fewer
// where the budget is used up, but one at least. Written by the workers, read by the control
// thread; not by mailbox, as a backend that is down makes tens of thousands a second.
class FailureLog {
 public:
  explicit FailureLog(std::shared_ptr<FailureBudget> budget) : budget_(std::move(budget)) {}
  FailureLog(const FailureLog&) = delete;
  FailureLog& operator=(const FailureLog&) = delete;
  ~FailureLog();

  void add(SessionEnd end);
  // The latest first. Holds up the workers' add() for as long as it takes to copy them.
  std::vector<core::EndedSession> told() const;

 private:
  const std::shared_ptr<FailureBudget> budget_;  // counters may outlive the pool
  mutable std::mutex mutex_;
  std::deque<SessionEnd> ends_;  // guarded by mutex_
};

// What only a stream has that failed once: there are thousands that never do.
struct StreamFailures {
  explicit StreamFailures(std::shared_ptr<FailureBudget> budget) : log(std::move(budget)) {}

  std::array<std::atomic<std::uint64_t>, core::kEndReasons> ended{};  // by reason; relaxed
  FailureLog log;
};

}  // namespace sc::relay
