#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "relay/worker.h"

namespace sc::relay {

// How a worker fares.
struct WorkerFacts {
  std::size_t sessions = 0;
  std::chrono::nanoseconds cpu{0};       // that its thread has used since its start
  std::chrono::nanoseconds loop_lag{0};  // how long a message waited until the worker took it
  // As it said last.
  std::size_t pipes = 0;
  std::size_t pipes_at_rest = 0;  // of these
};

// Asks the workers how they fare, when somebody wants to know: no worker is woken otherwise. A
// worker that is busy is not asked again before it has answered. Control thread only.
class WorkerProbe {
 public:
  // `workers` may be filled later, before the first ask().
  explicit WorkerProbe(const std::vector<std::unique_ptr<Worker>>& workers) : workers_(workers) {}
  WorkerProbe(const WorkerProbe&) = delete;
  WorkerProbe& operator=(const WorkerProbe&) = delete;

  void ask();
  void note(const Probed& answer);
  // Have all answered?
  bool is_answered() const;
  // Of one that has not answered, the lag is the time so far; and what it says too late for that is
  // told the next time that it was asked, unless it has waited longer by then.
  std::vector<WorkerFacts> facts();

 private:
  struct State {
    std::optional<base::Instant> asked_at;  // and it has not answered
    Probed answer;
    bool is_told_early = false;        // facts() was asked before the latest answer came
    std::chrono::nanoseconds late{0};  // the lag that came too late for that
  };

  const std::vector<std::unique_ptr<Worker>>& workers_;
  std::vector<State> states_;
};

}  // namespace sc::relay
