#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/callback.h"
#include "loop/handle.h"

namespace sc::loop {

struct TimerHandle : Watcher<uv_timer_t, base::Callback<void()>> {
  std::uint64_t use = 0;      // counts its Timers
  std::size_t due_place = 0;  // in the loop's DueTimers, from 1 on; 0: not due
};

// Timers come and go with every session, and a libuv handle that is closed costs the loop a further
// turn: so stopped ones are kept for the next Timer.
struct SpareTimers {
  static constexpr std::size_t kKept = 1024;

  struct Close {
    void operator()(TimerHandle* handle) const noexcept { close_watcher(handle); }
  };
  std::vector<std::unique_ptr<TimerHandle, Close>> at_rest;
};

}  // namespace sc::loop
