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
  std::chrono::nanoseconds loop_lag{0};  // the longest that a message waited for the worker
  // As it said last.
  std::size_t pipes = 0;
  std::size_t pipes_at_rest = 0;  // of these
};

// Asks the workers for a sign of life: twice a second, and when metrics are read. A worker that
// does not answer has kMostWaiting questions at most. Control thread only.
class WorkerProbe {
 public:
  // `workers` may be filled later, before the first ask().
  explicit WorkerProbe(const std::vector<std::unique_ptr<Worker>>& workers) : workers_(workers) {}
  WorkerProbe(const WorkerProbe&) = delete;
  WorkerProbe& operator=(const WorkerProbe&) = delete;

  // Two probes. So the answer to a probe sent for a scrape covers all that the worker did before
  // the scrape, even if an earlier probe still waits.
  static constexpr std::size_t kMostWaiting = 2;

  void ask();
  void ask(std::size_t worker);
  void note(const Probed& answer);
  // Have all answered?
  bool is_answered() const;
  bool is_answered(std::size_t worker) const;
  // The lag is the longest since facts() was called last; of a worker that has not answered, at
  // least the time so far.
  std::vector<WorkerFacts> facts();

 private:
  struct State {
    std::vector<base::Instant> asked_at;  // without an answer, the oldest first
    Probed answer;
    std::optional<std::chrono::nanoseconds> worst;  // of the answers since facts()
  };

  const std::vector<std::unique_ptr<Worker>>& workers_;
  std::vector<State> states_;
};

}  // namespace sc::relay
