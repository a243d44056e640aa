#pragma once

#include <algorithm>
#include <iterator>
#include <mutex>
#include <utility>
#include <vector>

#include "base/callback.h"
#include "loop/loop.h"
#include "loop/wakeup.h"

namespace sc::loop {

// Values from any thread to this loop's thread, in the order they were sent. What was never
// delivered is destroyed with the mailbox, descriptors included. Senders stop before their mailbox
// dies; the handler must not destroy it.
template <class T>
class Mailbox {
 public:
  Mailbox(Loop& loop, base::Callback<void(T)> on_message)
      : on_message_(std::move(on_message)), wakeup_(loop, [this] { deliver(); }) {}

  void send(T message) {  // any thread
    bool was_empty = false;
    {
      const std::lock_guard lock(mutex_);
      was_empty = queue_.empty();
      queue_.push_back(std::move(message));
    }
    if (was_empty) wakeup_.wake();  // otherwise a wake-up is on its way
  }

  // What was sent and not delivered, as far as `wanted` says so. Any thread.
  template <class Wanted>
  std::vector<T> take_back(Wanted wanted) {
    std::vector<T> taken;
    const std::lock_guard lock(mutex_);
    const auto first = std::stable_partition(queue_.begin(), queue_.end(),
                                             [&](const T& each) { return !wanted(each); });
    std::move(first, queue_.end(), std::back_inserter(taken));
    queue_.erase(first, queue_.end());
    return taken;
  }

  // What was sent so far, before the wake-up does. Loop's thread, not from the handler.
  void deliver() {
    std::vector<T> batch;
    {
      const std::lock_guard lock(mutex_);
      batch.swap(queue_);
    }
    for (T& message : batch) on_message_(std::move(message));
  }

 private:
  base::Callback<void(T)> on_message_;  // loop's thread
  std::mutex mutex_;                    // guards queue_
  std::vector<T> queue_;
  Wakeup wakeup_;
};

}  // namespace sc::loop
