#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "base/clock.h"

namespace sc::core {

// When each failed stream is tried again: after kFirst, then twice as long each time, at most
// kMost. A value without a clock of its own: `now` is an argument.
class RetrySchedule {
 public:
  static constexpr std::chrono::seconds kFirst{1};
  static constexpr std::chrono::seconds kMost{60};

  // The port could not be opened (again); its next turn is set.
  void failed(std::uint16_t port, base::Instant now);
  // No more turns: it opened, or is gone.
  void forget(std::uint16_t port);
  bool has(std::uint16_t port) const { return turns_.contains(port); }

  std::vector<std::uint16_t> due(base::Instant now) const;
  std::optional<base::Instant> next() const;

 private:
  struct Turn {
    base::Instant at;
    std::chrono::seconds wait;
  };
  std::map<std::uint16_t, Turn> turns_;
};

}  // namespace sc::core
