#pragma once

#include <atomic>

#include "base/callback.h"

// For this folder.
namespace sc::loop {

struct WakeupWatcher {
  std::atomic<bool> is_woken{false};  // and on_wake was not called since
  base::Callback<void()> on_wake;     // the loop's thread
};

}  // namespace sc::loop
