#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/callback.h"
#include "base/clock.h"
#include "core/health.h"
#include "loop/loop.h"
#include "loop/timer.h"

namespace sc {

// A thread of the service, as the control thread sees it.
struct WatchedThread {
  std::string name;                     // `worker-0`
  base::Callback<void()> ask;           // sends a probe
  base::Callback<bool()> has_answered;  // the last probe, or none was sent
  // The host holds up a call of the thread: a slow disk, a reader of the log that reads nothing.
  // That is no fault of the thread, and a restart would not help.
  base::Callback<bool()> is_held_up;
  std::string held_up;  // a sentence about that for the operator; empty: it is reported elsewhere
  base::Callback<void(bool is_still)> on_still;  // at each change
};

// How long a thread has not answered.
struct Silence {
  std::string thread;
  std::chrono::milliseconds duration{0};
};

// Finds threads that stand still: each is sent a probe in every look, and one that does not answer
// for kLimit stands still. While one does, the service is not ready and the watchdog is not fed.
// A thread that the host holds up for kLimit makes the service degraded, but still ready. Control
// thread only.
class Liveness {
 public:
  // A look costs each thread a wake-up.
  static constexpr std::chrono::milliseconds kEvery{500};
  // More than any turn of a thread takes on a busy host. WatchdogSec= comes on top of it.
  static constexpr std::chrono::milliseconds kLimit{3000};

  // Looks from now on.
  Liveness(loop::Loop& loop, std::vector<WatchedThread> threads, core::Health& health,
           const base::Clock& clock);
  Liveness(const Liveness&) = delete;
  Liveness& operator=(const Liveness&) = delete;

  // Called every kEvery. A longer time between two looks counts as two kEvery at most:
  // after a pause of the whole process no thread has had time to answer.
  void look();

  // No thread stands still.
  bool is_alive() const;
  // Zero: it answers in time.
  std::vector<Silence> silences() const;

 private:
  struct State {
    WatchedThread thread;
    std::chrono::milliseconds silent{0};
    std::chrono::milliseconds held_up{0};
    bool is_still = false;
    bool is_reported = false;  // that it is held up
  };

  void set_still(State& state, bool is_still);
  void report_held_up(State& state);

  core::Health& health_;
  const base::Clock& clock_;
  std::vector<State> states_;
  base::Instant looked_at_;
  loop::Timer timer_;
};

}  // namespace sc
