#include "core/expiry_schedule.h"

namespace sc::core {

void ExpirySchedule::set(std::uint16_t port, std::optional<base::WallTime> at) {
  if (const auto known = by_port_.find(port); known != by_port_.end()) {
    by_time_.erase({known->second, port});
    by_port_.erase(known);
  }
  if (!at) return;
  by_port_.emplace(port, *at);
  by_time_.emplace(*at, port);
}

std::vector<std::uint16_t> ExpirySchedule::due(base::WallTime now) const {
  std::vector<std::uint16_t> ports;
  for (const auto& [at, port] : by_time_) {
    if (at > now) break;
    ports.push_back(port);
  }
  return ports;
}

std::optional<base::WallTime> ExpirySchedule::next() const {
  if (by_time_.empty()) return std::nullopt;
  return by_time_.begin()->first;
}

}  // namespace sc::core
