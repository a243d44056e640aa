#include "liveness.h"

#include <algorithm>
#include <utility>

namespace sc {

using std::chrono::milliseconds;

Liveness::Liveness(loop::Loop& loop, std::vector<WatchedThread> threads, core::Health& health,
                   const base::Clock& clock)
    : health_(health), clock_(clock), looked_at_(clock.steady()), timer_(loop, [this] {
        look();
        timer_.start(kEvery);
      }) {
  for (WatchedThread& each : threads) states_.push_back({.thread = std::move(each)});
  timer_.start(kEvery);
}

void Liveness::look() {
  const base::Instant now = clock_.steady();
  const auto passed =
      std::min(std::chrono::floor<milliseconds>(now - std::exchange(looked_at_, now)), 2 * kEvery);
  for (State& state : states_) {
    WatchedThread& thread = state.thread;
    const bool has_answered = thread.has_answered();
    const bool is_held_up = !has_answered && thread.is_held_up();
    state.held_up = is_held_up ? state.held_up + passed : milliseconds{0};
    state.silent = has_answered || is_held_up ? milliseconds{0} : state.silent + passed;
    if ((state.silent >= kLimit) != state.is_still) set_still(state, !state.is_still);
    if (!thread.held_up.empty() && (state.held_up >= kLimit) != state.is_reported)
      report_held_up(state);
    if (has_answered) thread.ask();
  }
}

void Liveness::set_still(State& state, bool is_still) {
  state.is_still = is_still;
  const std::string& name = state.thread.name;
  if (is_still) {
    const base::WallTime since = clock_.wall() - state.silent;
    health_.report(name,
                   "the thread has not answered since " + base::to_iso8601(since) +
                       "; the service manager restarts the service if it does not go on",
                   core::Readiness::unready);
  } else {
    health_.clear(name);
  }
  state.thread.on_still(is_still);
}

void Liveness::report_held_up(State& state) {
  state.is_reported = !state.is_reported;
  if (state.is_reported) {
    health_.report(state.thread.name, state.thread.held_up, core::Readiness::ready);
  } else if (!state.is_still) {
    health_.clear(state.thread.name);
  }
}

bool Liveness::is_alive() const {
  return std::none_of(states_.begin(), states_.end(),
                      [](const State& state) { return state.is_still; });
}

std::vector<Silence> Liveness::silences() const {
  std::vector<Silence> all;
  for (const State& state : states_) all.push_back({state.thread.name, state.silent});
  return all;
}

}  // namespace sc
