#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <utility>

#include "bench/reactor.h"

namespace sc::traffic {

using bench::Clock;

// How many bytes of one direction may go by now. A session that was held up catches up afterwards.
class Pace {
 public:
  // Bytes per second; 0 is no limit.
  explicit Pace(std::uint64_t rate = 0, Clock::time_point start = {})
      : rate_(rate), start_(start) {}

  std::uint64_t allowed(std::uint64_t done, Clock::time_point now) const;
  // When some are allowed again; only after allowed() said 0.
  Clock::time_point next(std::uint64_t done) const;

 private:
  std::uint64_t burst() const;

  std::uint64_t rate_;
  Clock::time_point start_;
};

// How long it waited for the other end, at most and now.
class Stopwatch {
 public:
  // Waits from now on, or does not.
  void expect(bool waits, Clock::time_point now);
  // What it waited for came.
  void lap(Clock::time_point now);
  std::optional<Clock::time_point> since() const { return since_; }
  Clock::duration longest() const { return longest_; }

 private:
  std::optional<Clock::time_point> since_;
  Clock::duration longest_{0};
};

class Sleeper {
 public:
  Sleeper() = default;
  Sleeper(const Sleeper&) = delete;
  Sleeper& operator=(const Sleeper&) = delete;
  virtual ~Sleeper() = default;
  virtual void on_wake() = 0;
};

// Who sleeps until when. Single-threaded.
class Alarms {
 public:
  void set(Clock::time_point at, Sleeper& sleeper) { queue_.emplace(at, &sleeper); }
  void cancel(Clock::time_point at, Sleeper& sleeper) { queue_.erase({at, &sleeper}); }
  // The first one's time, or `otherwise` if that is earlier.
  Clock::time_point first(Clock::time_point otherwise) const;
  // Wakes those whose time has come, each once.
  void ring(Clock::time_point now);

 private:
  std::set<std::pair<Clock::time_point, Sleeper*>> queue_;
};

}  // namespace sc::traffic
