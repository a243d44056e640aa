#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <vector>

#include "base/callback.h"
#include "handoff/vault.h"
#include "relay/roll_call.h"
#include "relay/worker.h"

namespace sc::relay {

struct HandOverReport {
  std::size_t kept = 0;
  std::size_t cut = 0;
};

// The end of all sessions, by a drain or by a hand-over to the next process. Each of its two steps
// waits for all workers: to stop accepting, then to have no sessions of their own. A worker that
// does not answer in time is left out. Control thread only.
class ShutdownSequence {
 public:
  // Ticks in which a worker answers what costs it no more than a turn.
  static constexpr unsigned kPatience = 20;
  // More than the workers wait for the service manager.
  static constexpr unsigned kHandOverPatience = 50;

  // `vault`: null if nothing is kept. `workers` may be filled later. `tick`: between two tick().
  ShutdownSequence(const std::vector<std::unique_ptr<Worker>>& workers, handoff::Vault* vault,
                   std::chrono::milliseconds tick)
      : workers_(workers), vault_(vault), tick_(tick) {}
  ShutdownSequence(const ShutdownSequence&) = delete;
  ShutdownSequence& operator=(const ShutdownSequence&) = delete;

  // on_done with the number of sessions that were cut at the limit. Once.
  void drain(std::chrono::milliseconds limit, base::Callback<void(std::size_t cut)> on_done);
  // Only with a vault, and instead of drain(), or after it has begun. Once.
  void hand_over(base::Callback<void(HandOverReport)> on_done);

  void handle(const AcceptingStopped& event);
  void handle(const Drained& event);
  void handle(const HandedOver& event);

  // Whether an answer is waited for; then tick() is due.
  bool waits() const {
    return accepting_.is_open() || leaving_.is_open() || draining_.is_open() ||
           handing_over_.is_open();
  }
  void tick();

 private:
  void on_accepting_stopped();
  void on_left();
  void on_drained();
  void on_handed_over();

  const std::vector<std::unique_ptr<Worker>>& workers_;
  handoff::Vault* const vault_;
  const std::chrono::milliseconds tick_;
  std::chrono::milliseconds drain_limit_{0};
  RollCall accepting_;  // AcceptingStopped, in a drain
  RollCall draining_;
  std::size_t cut_ = 0;
  base::Callback<void(std::size_t)> on_drained_;
  RollCall leaving_;  // AcceptingStopped, in a hand-over
  RollCall handing_over_;
  HandOverReport handed_over_;
  base::Callback<void(HandOverReport)> on_handed_over_;
};

}  // namespace sc::relay
