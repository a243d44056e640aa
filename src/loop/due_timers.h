#pragma once

#include <cstddef>
#include <vector>

namespace sc::loop {

struct TimerHandle;

// Timers that are due and have not called back yet. The loop collects them first, then delivers
// what its descriptors are ready for, and calls them last: a timer that judges silence must not run
// ahead of bytes that have arrived. A timer that is stopped or started meanwhile leaves.
class DueTimers {
 public:
  DueTimers() = default;
  DueTimers(const DueTimers&) = delete;
  DueTimers& operator=(const DueTimers&) = delete;

  bool is_empty() const { return handles_.empty(); }
  void add(TimerHandle& handle);
  // Does nothing for a timer that is not due.
  void remove(TimerHandle& handle);
  // Calls them in the order in which they became due. A callback may destroy its own timer and
  // remove others.
  void call_all() noexcept;

 private:
  std::vector<TimerHandle*> handles_;  // null: removed
};

}  // namespace sc::loop
