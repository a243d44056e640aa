#pragma once

#include <chrono>
#include <string_view>

#include "base/clock.h"
#include "systemd/notify_queue.h"

namespace sc::systemd {

// Reports the state of the service to the service manager (sd_notify(3)); does nothing without
// NOTIFY_SOCKET. Never waits: what the manager does not read yet is in the queue. Control thread.
class Notifier {
 public:
  Notifier(const base::Clock& clock, NotifyQueue& queue) : clock_(clock), queue_(queue) {}
  Notifier(const Notifier&) = delete;
  Notifier& operator=(const Notifier&) = delete;

  // Started, or done with reloading. The status is a sentence for `systemctl status`.
  void ready(std::string_view status);
  // A ready() has to follow.
  void reloading();
  // The process ends within `drain`; the manager waits for it even where TimeoutStopSec is shorter.
  void stopping(std::chrono::milliseconds drain, std::string_view status);
  void status(std::string_view sentence);
  // Still alive; see Watchdog.
  void keep_alive();

 private:
  const base::Clock& clock_;
  NotifyQueue& queue_;
};

}  // namespace sc::systemd
