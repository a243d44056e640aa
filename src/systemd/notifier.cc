#include "systemd/notifier.h"

#include <string>

namespace sc::systemd {
namespace {

using State = NotifyQueue::State;

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

void Notifier::ready(std::string_view status) {
  queue_.say(State::ready, "READY=1\n" + status_line(status));
}

void Notifier::reloading() {
  // steady_clock is CLOCK_MONOTONIC, the one that sd_notify(3) asks for.
  queue_.say(State::reloading,
             "RELOADING=1\nMONOTONIC_USEC=" + to_micros(clock_.steady().time_since_epoch()));
}

void Notifier::stopping(std::chrono::milliseconds drain, std::string_view status) {
  queue_.say(State::stopping, "STOPPING=1\nEXTEND_TIMEOUT_USEC=" + to_micros(drain + kExitMargin) +
                                  "\n" + status_line(status));
}

void Notifier::status(std::string_view sentence) {
  queue_.say(State::status, status_line(sentence));
}

void Notifier::keep_alive() { queue_.say(State::alive, "WATCHDOG=1"); }

}  // namespace sc::systemd
