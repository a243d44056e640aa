#include "loop/wakeup.h"

#include <utility>

#include "loop/wakeup_watcher.h"

namespace sc::loop {

Wakeup::Wakeup(Loop& loop, base::Callback<void()> on_wake)
    : loop_(loop), watcher_(std::make_shared<WakeupWatcher>()) {
  watcher_->on_wake = std::move(on_wake);
  loop_.add(watcher_);
}

Wakeup::~Wakeup() { loop_.remove(watcher_.get()); }

void Wakeup::wake() {
  watcher_->is_woken.store(true);
  loop_.ring();
}

}  // namespace sc::loop
