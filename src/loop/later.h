#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>

#include "base/callback.h"
#include "loop/loop.h"
#include "loop/timer.h"

namespace sc::loop {

// Calls functions once, later, each after a time of its own. Those that wait when it dies are
// destroyed uncalled. Loop's thread only.
class Later {
 public:
  explicit Later(Loop& loop) : loop_(loop) {}
  Later(const Later&) = delete;
  Later& operator=(const Later&) = delete;

  // The function may call this again, and destroy it.
  void after(std::chrono::milliseconds delay, base::Callback<void()> function);

 private:
  Loop& loop_;
  std::uint64_t next_id_ = 1;
  std::map<std::uint64_t, std::unique_ptr<Timer>> waiting_;
};

}  // namespace sc::loop
