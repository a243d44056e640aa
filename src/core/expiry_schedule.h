#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "base/clock.h"

namespace sc::core {

// When each stream that ends by itself does. A value without a clock of its own: `now` is an
// argument.
class ExpirySchedule {
 public:
  // Nothing: it does not end by itself (any more).
  void set(std::uint16_t port, std::optional<base::WallTime> at);

  std::vector<std::uint16_t> due(base::WallTime now) const;
  std::optional<base::WallTime> next() const;

 private:
  std::map<std::uint16_t, base::WallTime> by_port_;
  std::set<std::pair<base::WallTime, std::uint16_t>> by_time_;
};

}  // namespace sc::core
