#pragma once

#include <memory>

#include "base/callback.h"
#include "loop/loop.h"

namespace sc::loop {

// Lets any thread call this loop's thread: the thread-safe core of Mailbox. Several wake() before
// the loop turns are one call (uv_async_send coalesces). No wake() may run once the destructor has
// begun.
class Wakeup {
 public:
  Wakeup(Loop& loop, base::Callback<void()> on_wake);
  Wakeup(const Wakeup&) = delete;
  Wakeup& operator=(const Wakeup&) = delete;

  void wake();  // any thread

 private:
  struct WakeupWatcher;
  struct Close {
    void operator()(WakeupWatcher* watcher) const noexcept;
  };

  std::unique_ptr<WakeupWatcher, Close> watcher_;
};

}  // namespace sc::loop
