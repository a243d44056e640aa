#pragma once

#include <chrono>

#include "base/clock.h"

namespace sc::test {

// A clock that stands still until the test moves it. Both times move together.
class ManualClock final : public base::Clock {
 public:
  base::WallTime wall() const override { return wall_; }
  base::Instant steady() const override { return steady_; }

  void set_wall(base::WallTime wall) { wall_ = wall; }
  void advance(std::chrono::milliseconds by) {
    wall_ += by;
    steady_ += by;
  }

 private:
  // 2026-11-01T14:03:00Z
  base::WallTime wall_{std::chrono::milliseconds{1'793'541'780'000}};
  base::Instant steady_{std::chrono::hours{1}};
};

}  // namespace sc::test
