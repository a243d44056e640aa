#pragma once

#include <chrono>

#include "base/callback.h"
#include "loop/loop.h"

namespace sc::loop {

struct TimerHandle;

// Calls back once for each start(), never from inside it. Loop's thread only.
class Timer {
 public:
  // on_due may destroy the Timer or start it again.
  Timer(Loop& loop, base::Callback<void()> on_due);
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  ~Timer();

  // Replaces what was started before. Counted from now, and never due before; zero or less is taken
  // for up to 1 ms, so that turns of the loop lie between a timer and what it starts.
  void start(std::chrono::milliseconds delay);
  void stop();
  bool is_active() const;

 private:
  Loop& loop_;
  TimerHandle* handle_;  // ours until it goes back to the loop's spare ones
};

}  // namespace sc::loop
