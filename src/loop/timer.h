#pragma once

#include <chrono>
#include <memory>

#include "base/callback.h"
#include "loop/loop.h"

namespace sc::loop {

// Calls back once for each start(), never from inside it. Loop's thread only.
class Timer {
 public:
  // on_due may destroy the Timer or start it again.
  Timer(Loop& loop, base::Callback<void()> on_due);
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  // Replaces what was started before. Counted from now; zero or less is taken for 1 ms, so that
  // turns of the loop lie between a timer and what it starts.
  void start(std::chrono::milliseconds delay);
  void stop();
  bool is_active() const;

 private:
  struct TimerWatcher;
  struct Close {
    void operator()(TimerWatcher* watcher) const noexcept;
  };

  std::unique_ptr<TimerWatcher, Close> watcher_;
};

}  // namespace sc::loop
