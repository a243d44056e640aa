#include "systemd/watchdog.h"

#include <systemd/sd-daemon.h>

#include <algorithm>
#include <cstdint>

#include "base/log.h"
#include "base/result.h"

namespace sc::systemd {

Watchdog::Watchdog(loop::Loop& loop, Notifier& notifier)
    : notifier_(notifier), timer_(loop, [this] { beat(); }) {
  std::uint64_t micros = 0;
  const int enabled = ::sd_watchdog_enabled(0, &micros);
  if (enabled < 0) {
    base::log::warning("the service manager's watchdog setting is not understood",
                       {{"reason", base::describe_errno("WATCHDOG_USEC", -enabled)}});
  }
  if (enabled <= 0) return;
  const std::chrono::microseconds limit{micros};
  period_ = std::max(std::chrono::floor<std::chrono::milliseconds>(limit / 2),
                     std::chrono::milliseconds{1});
  timer_.start(period_);
}

void Watchdog::beat() {
  notifier_.keep_alive();
  timer_.start(period_);
}

}  // namespace sc::systemd
