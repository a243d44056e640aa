#include "systemd/watchdog.h"

#include <systemd/sd-daemon.h>

#include <algorithm>
#include <cstdint>
#include <utility>

#include "base/log.h"
#include "base/result.h"

namespace sc::systemd {

namespace {

constexpr std::chrono::milliseconds kAskAgain{1000};

}  // namespace

Watchdog::Watchdog(loop::Loop& loop, Notifier& notifier, base::Callback<bool()> is_alive)
    : notifier_(notifier), is_alive_(std::move(is_alive)), timer_(loop, [this] { beat(); }) {
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
  const bool is_alive = is_alive_();
  if (is_alive) notifier_.keep_alive();
  timer_.start(is_alive ? period_ : std::min(period_, kAskAgain));
}

}  // namespace sc::systemd
