#include "relay/worker_probe.h"

#include <algorithm>

namespace sc::relay {

void WorkerProbe::ask() {
  states_.resize(workers_.size());
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    if (states_[i].asked_at) continue;
    State& state = states_[i];
    state.late = state.is_told_early ? state.answer.waited : std::chrono::nanoseconds(0);
    state.asked_at = std::chrono::steady_clock::now();
    workers_[i]->send(Probe{*state.asked_at});
  }
}

void WorkerProbe::note(const Probed& answer) {
  State& state = states_.at(answer.worker);
  state.asked_at.reset();
  state.answer = answer;
}

bool WorkerProbe::is_answered() const {
  return std::none_of(states_.begin(), states_.end(),
                      [](const State& state) { return state.asked_at.has_value(); });
}

std::vector<WorkerFacts> WorkerProbe::facts() {
  const base::Instant now = std::chrono::steady_clock::now();
  std::vector<WorkerFacts> all;
  states_.resize(workers_.size());
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    State& state = states_[i];
    state.is_told_early = state.asked_at.has_value();
    const std::chrono::nanoseconds waited =
        state.asked_at ? now - *state.asked_at : state.answer.waited;
    all.push_back({workers_[i]->load(), workers_[i]->cpu_time(), std::max(waited, state.late),
                   state.answer.pipes, state.answer.pipes_at_rest});
  }
  return all;
}

}  // namespace sc::relay
