#include "core/retry_schedule.h"

#include <algorithm>

namespace sc::core {

void RetrySchedule::failed(std::uint16_t port, base::Instant now) {
  const auto known = turns_.find(port);
  const auto wait = known == turns_.end() ? kFirst : std::min(known->second.wait * 2, kMost);
  turns_.insert_or_assign(port, Turn{now + wait, wait});
}

void RetrySchedule::forget(std::uint16_t port) { turns_.erase(port); }

std::vector<std::uint16_t> RetrySchedule::due(base::Instant now) const {
  std::vector<std::uint16_t> ports;
  for (const auto& [port, turn] : turns_)
    if (turn.at <= now) ports.push_back(port);
  return ports;
}

std::optional<base::Instant> RetrySchedule::next() const {
  std::optional<base::Instant> earliest;
  for (const auto& [port, turn] : turns_)
    if (!earliest || turn.at < *earliest) earliest = turn.at;
  return earliest;
}

}  // namespace sc::core
