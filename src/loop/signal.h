#pragma once

#include <memory>

#include "base/callback.h"
#include "loop/loop.h"

namespace sc::loop {

// Calls back on the loop's thread each time the process gets the signal.
class Signal {
 public:
  Signal(Loop& loop, int number, base::Callback<void()> on_signal);
  Signal(const Signal&) = delete;
  Signal& operator=(const Signal&) = delete;

 private:
  struct SignalWatcher;
  struct Close {
    void operator()(SignalWatcher* watcher) const noexcept;
  };

  std::unique_ptr<SignalWatcher, Close> watcher_;
};

}  // namespace sc::loop
