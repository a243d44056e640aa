#pragma once

#include <chrono>
#include <utility>

#include "loop/loop.h"
#include "loop/timer.h"

namespace sc::test {

// Turns the loop until `done` holds; false when that takes longer than `limit`. Asks after each
// turn, so what makes it true must be an event of this loop.
template <class Condition>
[[nodiscard]] bool loop_until(loop::Loop& loop, Condition done,
                              std::chrono::milliseconds limit = std::chrono::seconds(10)) {
  bool late = false;
  loop::Timer deadline(loop, [&] { late = true; });
  deadline.start(limit);
  while (!done()) {
    if (late) return false;
    loop.run_once(true);
  }
  return true;
}

// The same for what other threads or the kernel bring about, of which this loop has no event: asks
// each millisecond as well.
template <class Condition>
[[nodiscard]] bool loop_until_seen(loop::Loop& loop, Condition done,
                                   std::chrono::milliseconds limit = std::chrono::seconds(10)) {
  loop::Timer tick(loop, [&] { tick.start(std::chrono::milliseconds(1)); });
  tick.start(std::chrono::milliseconds(1));
  return loop_until(loop, std::move(done), limit);
}

// Lets the loop deliver what is ready by now, without waiting; to see that something stays away.
inline void turn(loop::Loop& loop, int times = 5) {
  for (int i = 0; i < times; ++i) loop.run_once(false);
}

}  // namespace sc::test
