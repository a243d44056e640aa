#pragma once

#include <mutex>
#include <utility>
#include <vector>

#include "base/callback.h"
#include "loop/mailbox.h"

namespace sc {

// The way of the store's answers to the control thread. The store's threads run before that thread
// has a loop: what they post until connect() waits here. Any thread.
class StorePostbox {
 public:
  using Answer = base::Callback<void()>;

  void post(Answer answer) {
    const std::lock_guard lock(mutex_);
    if (inbox_ != nullptr) {
      inbox_->send(std::move(answer));
    } else {
      early_.push_back(std::move(answer));
    }
  }

  // `inbox` outlives the store.
  void connect(loop::Mailbox<Answer>& inbox) {
    const std::lock_guard lock(mutex_);
    inbox_ = &inbox;
    for (Answer& answer : std::exchange(early_, {})) inbox.send(std::move(answer));
  }

 private:
  std::mutex mutex_;  // guards both
  loop::Mailbox<Answer>* inbox_ = nullptr;
  std::vector<Answer> early_;
};

}  // namespace sc
