#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace sc::systemd {

// Tells the service manager how the service fares (sd_notify(3)); does nothing when nobody asked
// for it by NOTIFY_SOCKET. Control thread.
class Notifier {
 public:
  explicit Notifier(const base::Clock& clock);
  Notifier(const Notifier&) = delete;
  Notifier& operator=(const Notifier&) = delete;

  bool is_active() const { return active_; }

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
  void send(const std::string& state);

  const base::Clock& clock_;
  const bool active_;
  bool failing_ = false;  // a failure is logged once, not with every keep-alive
};

}  // namespace sc::systemd
