#include "relay/worker_probe.h"

#include <algorithm>

namespace sc::relay {

void WorkerProbe::ask() {
  for (std::size_t i = 0; i < workers_.size(); ++i) ask(i);
}

void WorkerProbe::ask(std::size_t worker) {
  states_.resize(workers_.size());
  State& state = states_[worker];
  if (state.asked_at.size() == kMostWaiting) return;
  state.asked_at.push_back(std::chrono::steady_clock::now());
  workers_[worker]->send(Probe{state.asked_at.back()});
}

void WorkerProbe::note(const Probed& answer) {
  State& state = states_.at(answer.worker);
  state.asked_at.erase(state.asked_at.begin());
  state.answer = answer;
  state.worst = std::max(state.worst.value_or(answer.waited), answer.waited);
}

bool WorkerProbe::is_answered() const {
  return std::none_of(states_.begin(), states_.end(),
                      [](const State& state) { return !state.asked_at.empty(); });
}

bool WorkerProbe::is_answered(std::size_t worker) const {
  return worker >= states_.size() || states_[worker].asked_at.empty();
}

std::vector<WorkerFacts> WorkerProbe::facts() {
  const base::Instant now = std::chrono::steady_clock::now();
  std::vector<WorkerFacts> all;
  states_.resize(workers_.size());
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    State& state = states_[i];
    std::chrono::nanoseconds lag = state.worst.value_or(state.answer.waited);
    if (!state.asked_at.empty())
      lag = std::max<std::chrono::nanoseconds>(lag, now - state.asked_at.front());
    state.worst.reset();
    all.push_back({workers_[i]->load(), workers_[i]->cpu_time(), lag, state.answer.pipes,
                   state.answer.pipes_at_rest});
  }
  return all;
}

}  // namespace sc::relay
