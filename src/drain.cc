#include "drain.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/log.h"
#include "base/text.h"

namespace sc {

using std::chrono::milliseconds;

Drain::Drain(loop::Loop& loop, core::Conductor& conductor, relay::WorkerPool& plane,
             const base::Clock& clock, base::Callback<void()> on_state)
    : conductor_(conductor),
      plane_(plane),
      clock_(clock),
      on_state_(std::move(on_state)),
      stop_due_(loop, [this] { finish(plane_.sessions()); }) {}

void Drain::start(milliseconds limit, const core::Actor& actor) {
  if (state_ != State::none) {
    base::log::info("a drain has begun already, its limit stays",
                    {{"until", base::to_iso8601(*until_)}, {"actor", actor.name}});
    return;
  }
  const std::string sessions = std::to_string(plane_.sessions());
  const std::string timeout = base::format_duration(limit);
  if (actor.request_id.empty()) {
    base::log::info("draining",
                    {{"sessions", sessions}, {"timeout", timeout}, {"actor", actor.name}});
  } else {
    base::log::info("draining", {{"sessions", sessions},
                                 {"timeout", timeout},
                                 {"actor", actor.name},
                                 {"request_id", actor.request_id}});
  }
  conductor_.drain();
  begin(limit);
}

void Drain::stop(milliseconds limit, base::Callback<void()> on_over) {
  conductor_.stop();
  on_over_ = std::move(on_over);
  if (state_ == State::none) return begin(limit);
  until_ = std::min(*until_, clock_.wall() + limit);
  stop_due_.start(state_ == State::running ? limit : milliseconds{0});
}

void Drain::begin(milliseconds limit) {
  state_ = State::running;
  until_ = clock_.wall() + limit;
  plane_.drain(limit, [this](std::size_t cut) { finish(cut); });
  on_state_();
}

void Drain::finish(std::size_t cut) {
  stop_due_.stop();
  if (state_ == State::running) {
    state_ = State::over;
    base::log::info("drained", {{"cut", std::to_string(cut)}});
    on_state_();
  }
  if (!on_over_) return;
  auto on_over = std::move(on_over_);
  on_over();
}

}  // namespace sc
