#pragma once

#include <memory>

#include "base/callback.h"
#include "loop/loop.h"

namespace sc::loop {

struct WakeupWatcher;

// Lets any thread call this loop's thread: the thread-safe core of Mailbox. Several wake() before
// the loop turns are one call. No wake() may run once the destructor has begun.
class Wakeup {
 public:
  // on_wake may destroy the Wakeup. Throws std::runtime_error when the host gives no descriptor.
  Wakeup(Loop& loop, base::Callback<void()> on_wake);
  Wakeup(const Wakeup&) = delete;
  Wakeup& operator=(const Wakeup&) = delete;
  ~Wakeup();

  void wake();  // any thread

 private:
  Loop& loop_;
  std::shared_ptr<WakeupWatcher> watcher_;
};

}  // namespace sc::loop
