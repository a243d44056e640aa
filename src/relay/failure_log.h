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
#include "net/address.h"
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

// A stream's latest sessions that failed (core::is_failure), in groups of the same reason, backend
// address and error. It keeps core::kMostFailures of them, or its even part of a budget that is
// used up, but one at least. The largest group gives way to a new failure, so a frequent failure
// never evicts a rare one. A group lives as long as one of its sessions is kept. Where all groups
// have one session, the reason with the most groups gives way: a backend with ever new addresses,
// say.
//
// Written by the workers, read by the control thread; not by mailbox, as a backend that is down
// makes tens of thousands a second.
class FailureLog {
 public:
  explicit FailureLog(std::shared_ptr<FailureBudget> budget) : budget_(std::move(budget)) {}
  FailureLog(const FailureLog&) = delete;
  FailureLog& operator=(const FailureLog&) = delete;
  ~FailureLog();

  void add(SessionEnd end);
  // The latest first. Holds up the workers' add() for as long as it takes to copy pointers to them.
  core::Failures told() const;

 private:
  struct Kept {
    std::uint64_t number = 0;  // in the order of ending
    std::shared_ptr<const SessionEnd> end;
  };
  struct Group {
    core::EndReason reason = core::EndReason::finished;
    int error = 0;
    net::PackedAddress address;  // of the backend that was reached or dialled, if one was
    core::Backend backend;       // only where no address was
    std::uint64_t count = 0;
    base::WallTime first{};
    base::WallTime last{};
    std::deque<Kept> ends;  // the latest last
  };

  Group& group_of(const SessionEnd& end);
  std::vector<Group>::iterator least_missed();
  std::size_t most() const;

  const std::shared_ptr<FailureBudget> budget_;  // counters may outlive the pool
  mutable std::mutex mutex_;
  // Guarded by mutex_.
  std::vector<Group> groups_;
  std::size_t kept_ = 0;
  std::uint64_t added_ = 0;
};

// What only a stream has that failed once: there are thousands that never do.
struct StreamFailures {
  explicit StreamFailures(std::shared_ptr<FailureBudget> budget) : log(std::move(budget)) {}

  std::array<std::atomic<std::uint64_t>, core::kEndReasons> ended{};  // by reason; relaxed
  FailureLog log;
};

}  // namespace sc::relay
