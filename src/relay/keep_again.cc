#include "relay/keep_again.h"

namespace sc::relay {

void KeepAgain::look() {
  if (keeper_ == nullptr || keeper_->is_busy() || !keeper_->take_missed()) return;
  last_ = 0;
  keep_some();
}

// If the manager stops reading meanwhile, the keeper has missed something again, and all of it is
// tried from the start.
void KeepAgain::keep_some() {
  auto next = sessions_.upper_bound(last_);
  for (int i = 0; i < kAtOnce && next != sessions_.end(); ++i, ++next) {
    last_ = next->first;
    next->second->keep_if_due();
    if (keeper_->is_busy()) return;
  }
  if (next != sessions_.end()) due_.start(std::chrono::milliseconds{1});
}

}  // namespace sc::relay
