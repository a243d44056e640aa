#include "traffic/pace.h"

#include <algorithm>
#include <limits>

namespace sc::traffic {
namespace {

double seconds(Clock::duration duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace

// What goes at once: the bytes of 20 ms, so that thousands of paced sessions leave time for others.
std::uint64_t Pace::burst() const { return std::max<std::uint64_t>(1, rate_ / 50); }

std::uint64_t Pace::allowed(std::uint64_t done, Clock::time_point now) const {
  if (rate_ == 0) return std::numeric_limits<std::uint64_t>::max();
  // `now` may be from before: it is asked once for all that a turn does.
  const double since = std::max(0.0, seconds(now - start_));
  const auto due = static_cast<std::uint64_t>(static_cast<double>(rate_) * since);
  return due + burst() > done ? due + burst() - done : 0;
}

Clock::time_point Pace::next(std::uint64_t done) const {
  const double after = static_cast<double>(done) / static_cast<double>(rate_);
  // A millisecond more than rounding could lose, so that allowed() has some then.
  return start_ + std::chrono::milliseconds(1) +
         std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(after));
}

void Stopwatch::expect(bool waits, Clock::time_point now) {
  if (!waits)
    since_.reset();
  else if (!since_)
    since_ = now;
}

void Stopwatch::lap(Clock::time_point now) {
  if (since_) longest_ = std::max(longest_, now - *since_);
  since_ = now;
}

Clock::time_point Alarms::first(Clock::time_point otherwise) const {
  return queue_.empty() ? otherwise : std::min(otherwise, queue_.begin()->first);
}

void Alarms::ring(Clock::time_point now) {
  while (!queue_.empty() && queue_.begin()->first <= now) {
    Sleeper* sleeper = queue_.begin()->second;
    queue_.erase(queue_.begin());
    sleeper->on_wake();
  }
}

}  // namespace sc::traffic
