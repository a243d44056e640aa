#include "loop/later.h"

#include <utility>

namespace sc::loop {

void Later::after(std::chrono::milliseconds delay, base::Callback<void()> function) {
  const std::uint64_t id = next_id_++;
  // The timer keeps this lambda on the stack while it runs, so it may let go of its timer.
  auto timer = std::make_unique<Timer>(loop_, [this, id, held = std::move(function)]() mutable {
    waiting_.erase(id);
    held();
  });
  timer->start(delay);
  waiting_.emplace(id, std::move(timer));
}

}  // namespace sc::loop
