#include "loop/due_timers.h"

#include <utility>

#include "loop/spare_timers.h"

namespace sc::loop {
namespace {

// The function runs on the stack: it may destroy its Timer, and make another one from this handle.
void call(TimerHandle& handle) {
  const std::uint64_t use = handle.use;
  auto function = std::move(handle.function);
  function();
  if (handle.use == use) handle.function = std::move(function);
}

}  // namespace

void DueTimers::add(TimerHandle& handle) {
  handles_.push_back(&handle);
  handle.due_place = handles_.size();
}

void DueTimers::remove(TimerHandle& handle) {
  if (handle.due_place == 0) return;
  handles_[handle.due_place - 1] = nullptr;
  handle.due_place = 0;
}

void DueTimers::call_all() noexcept {
  for (TimerHandle*& each : handles_) {
    TimerHandle* handle = std::exchange(each, nullptr);
    if (handle == nullptr) continue;
    handle->due_place = 0;
    call(*handle);
  }
  handles_.clear();
}

}  // namespace sc::loop
