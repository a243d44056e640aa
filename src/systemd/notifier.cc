#include "systemd/notifier.h"

#include <systemd/sd-daemon.h>

#include <cstdlib>

#include "base/log.h"
#include "base/result.h"

namespace sc::systemd {
namespace {

// For what is left to do once the last session has ended: commit, close, exit.
constexpr std::chrono::seconds kExitMargin{5};

std::string to_micros(std::chrono::nanoseconds duration) {
  return std::to_string(std::chrono::duration_cast<std::chrono::microseconds>(duration).count());
}

// A line of the protocol ends at a newline: one in a status would start an assignment of its own.
std::string status_line(std::string_view sentence) {
  std::string line = "STATUS=";
  for (const char c : sentence) line += c == '\n' ? ' ' : c;
  return line;
}

}  // namespace

Notifier::Notifier(const base::Clock& clock)
    : clock_(clock), active_(std::getenv("NOTIFY_SOCKET") != nullptr) {}

void Notifier::ready(std::string_view status) { send("READY=1\n" + status_line(status)); }

void Notifier::reloading() {
  // steady_clock is CLOCK_MONOTONIC, the one that sd_notify(3) asks for.
  send("RELOADING=1\nMONOTONIC_USEC=" + to_micros(clock_.steady().time_since_epoch()));
}

void Notifier::stopping(std::chrono::milliseconds drain, std::string_view status) {
  send("STOPPING=1\nEXTEND_TIMEOUT_USEC=" + to_micros(drain + kExitMargin) + "\n" +
       status_line(status));
}

void Notifier::status(std::string_view sentence) { send(status_line(sentence)); }

void Notifier::keep_alive() { send("WATCHDOG=1"); }

void Notifier::send(const std::string& state) {
  if (!active_) return;
  const int result = ::sd_notify(0, state.c_str());  // 0: NOTIFY_SOCKET stays, for the next call
  if (result < 0 && !failing_) {
    base::log::warning("the service manager cannot be notified",
                       {{"reason", base::describe_errno("sd_notify", -result)}});
  }
  failing_ = result < 0;
}

}  // namespace sc::systemd
