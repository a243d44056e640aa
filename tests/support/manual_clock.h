#pragma once

#include <atomic>
#include <chrono>
#include <string>

#include "base/clock.h"

namespace sc::test {

// A clock that stands still until the test moves it. Both times move together, but for a wall clock
// that is set. Any thread may read it; one thread moves it.
class ManualClock final : public base::Clock {
 public:
  base::WallTime wall() const override { return wall_.load(); }
  base::Instant steady() const override { return steady_.load(); }
  std::string boot_id() const override { return "this boot"; }

  void set_wall(base::WallTime wall) { wall_.store(wall); }
  void advance(std::chrono::milliseconds by) {
    wall_.store(wall_.load() + by);
    steady_.store(steady_.load() + by);
  }

 private:
  // 2026-11-01T14:03:00Z
  std::atomic<base::WallTime> wall_{base::WallTime{std::chrono::milliseconds{1'793'541'780'000}}};
  std::atomic<base::Instant> steady_{base::Instant{std::chrono::hours{1}}};
};

}  // namespace sc::test
