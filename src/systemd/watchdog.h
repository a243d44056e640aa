#pragma once

#include <chrono>

#include "base/callback.h"
#include "loop/loop.h"
#include "loop/timer.h"
#include "systemd/notifier.h"

namespace sc::systemd {

// Shows the service manager, twice in each WatchdogSec, that the service is alive; idle when the
// manager did not ask for it (sd_watchdog_enabled(3)). Loop's thread.
class Watchdog {
 public:
  // Calls `is_alive` before each sign of life. While it returns false, there is no sign of life and
  // it is called every second. So a thread that goes on in time costs no restart.
  Watchdog(loop::Loop& loop, Notifier& notifier, base::Callback<bool()> is_alive);
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  // Between two signs of life; zero when none is asked for.
  std::chrono::milliseconds period() const { return period_; }

 private:
  void beat();

  Notifier& notifier_;
  base::Callback<bool()> is_alive_;
  std::chrono::milliseconds period_{0};
  loop::Timer timer_;
};

}  // namespace sc::systemd
