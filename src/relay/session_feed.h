#pragma once

#include <atomic>
#include <cstddef>
#include <deque>
#include <mutex>

#include "core/session_book.h"

namespace sc::relay {

// What sessions do, while somebody watches: the workers tell, the control thread takes it. Any
// thread.
class SessionFeed {
 public:
  using Watch = core::SessionBook::Watch;
  static constexpr std::size_t kMost = 4096;  // notes that wait; of more the oldest are dropped

  void watch(Watch what);  // nothing: what waits is forgotten

  bool wants_failures() const { return what_.load(std::memory_order_relaxed) != Watch::nothing; }
  bool wants_all() const { return what_.load(std::memory_order_relaxed) == Watch::sessions; }
  void add(core::SessionNote note);

  core::SessionNews take();

 private:
  std::atomic<Watch> what_{Watch::nothing};  // relaxed
  std::mutex mutex_;
  std::deque<core::SessionNote> notes_;  // guarded by mutex_, as the next one
  std::uint64_t missed_ = 0;
};

}  // namespace sc::relay
