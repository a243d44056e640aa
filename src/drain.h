#pragma once

#include <chrono>
#include <cstddef>
#include <optional>

#include "base/callback.h"
#include "base/clock.h"
#include "core/actor.h"
#include "core/conductor.h"
#include "loop/loop.h"
#include "loop/timer.h"
#include "relay/worker_pool.h"

namespace sc {

// The end of all sessions: no new clients, and those that run have a limit to end by themselves.
// Somebody asks for it and the service stays, or a stop does. It happens once. Control thread only.
class Drain {
 public:
  enum class State : unsigned char {
    none,
    running,  // sessions have time to end
    over,     // there are none any more
  };

  // on_state: after each change of the state.
  Drain(loop::Loop& loop, core::Conductor& conductor, relay::WorkerPool& plane,
        const base::Clock& clock, base::Callback<void()> on_state);
  Drain(const Drain&) = delete;
  Drain& operator=(const Drain&) = delete;

  // Streams cannot be changed from now on. Of several the first one's limit holds.
  void start(std::chrono::milliseconds limit, const core::Actor& actor);
  // on_over is called, never from inside, when no session is left, and after `limit` in any case:
  // what then goes on of a longer drain that somebody asked for is the caller's to cut. Once.
  void stop(std::chrono::milliseconds limit, base::Callback<void()> on_over);

  State state() const { return state_; }
  // When sessions are cut, or would have been.
  std::optional<base::WallTime> until() const { return until_; }

 private:
  void begin(std::chrono::milliseconds limit);
  void finish(std::size_t cut);

  core::Conductor& conductor_;
  relay::WorkerPool& plane_;
  const base::Clock& clock_;
  base::Callback<void()> on_state_;
  State state_ = State::none;
  std::optional<base::WallTime> until_;
  base::Callback<void()> on_over_;  // of a stop
  loop::Timer stop_due_;
};

}  // namespace sc
