#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

namespace sc::core {

// When each stream that ends by itself does, by one clock. A value without a clock of its own:
// `now` is an argument.
template <class Time>
class ExpirySchedule {
 public:
  // nullopt: it does not end by itself by this clock (any more).
  void set(std::uint16_t port, std::optional<Time> at) {
    if (const auto known = by_port_.find(port); known != by_port_.end()) {
      by_time_.erase({known->second, port});
      by_port_.erase(known);
    }
    if (!at) return;
    by_port_.emplace(port, *at);
    by_time_.emplace(*at, port);
  }

  std::vector<std::uint16_t> due(Time now) const {
    std::vector<std::uint16_t> ports;
    for (const auto& [at, port] : by_time_) {
      if (at > now) break;
      ports.push_back(port);
    }
    return ports;
  }

  std::optional<Time> next() const {
    if (by_time_.empty()) return std::nullopt;
    return by_time_.begin()->first;
  }

 private:
  std::map<std::uint16_t, Time> by_port_;
  std::set<std::pair<Time, std::uint16_t>> by_time_;
};

}  // namespace sc::core
