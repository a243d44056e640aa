#pragma once

#include <chrono>

#include "loop/loop.h"
#include "loop/timer.h"
#include "systemd/notifier.h"

namespace sc::systemd {

// Shows the service manager, twice in each WatchdogSec, that the loop still turns; idle when the
// manager did not ask for it (sd_watchdog_enabled(3)). Loop's thread.
class Watchdog {
 public:
  Watchdog(loop::Loop& loop, Notifier& notifier);
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  // Between two signs of life; zero when none is asked for.
  std::chrono::milliseconds period() const { return period_; }

 private:
  void beat();

  Notifier& notifier_;
  std::chrono::milliseconds period_{0};
  loop::Timer timer_;
};

}  // namespace sc::systemd
