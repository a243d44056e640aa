#include "loop/timer.h"

#include <utility>

#include "loop/spare_timers.h"

namespace sc::loop {
namespace {

// The function runs on the stack: it may destroy its Timer, and make another one from this handle.
void on_due(uv_timer_t* raw) noexcept {
  auto* handle = reinterpret_cast<TimerHandle*>(raw);
  const std::uint64_t use = handle->use;
  auto function = std::move(handle->function);
  function();
  if (handle->use == use) handle->function = std::move(function);
}

TimerHandle* take_handle(Loop& loop) {
  auto& spare = loop.spare_timers().at_rest;
  if (!spare.empty()) {
    TimerHandle* handle = spare.back().release();
    spare.pop_back();
    return handle;
  }
  auto fresh = std::make_unique<TimerHandle>();
  check(uv_timer_init(loop.raw(), &fresh->handle), "uv_timer_init");
  return fresh.release();
}

}  // namespace

Timer::Timer(Loop& loop, base::Callback<void()> on_due) : loop_(loop), handle_(take_handle(loop)) {
  handle_->function = std::move(on_due);
}

Timer::~Timer() {
  stop();
  ++handle_->use;
  handle_->function = {};
  std::unique_ptr<TimerHandle, SpareTimers::Close> done(handle_);
  auto& spare = loop_.spare_timers().at_rest;
  if (spare.size() < SpareTimers::kKept) spare.push_back(std::move(done));
}

void Timer::start(std::chrono::milliseconds delay) {
  // libuv counts from the start of the turn; after long work in a turn that is in the past.
  uv_update_time(loop_.raw());
  // And a timer of 0 ms that is started by a timer runs in the same pass over the list (libuv issue
  // 4245, in 1.44), so that one which starts itself again would leave no turn to anybody else.
  // Its clock is in whole milliseconds, the begun one left out: one more, or it would be early.
  const std::int64_t millis = delay.count() > 0 ? delay.count() + 1 : 1;
  uv_timer_start(&handle_->handle, &loop::on_due, static_cast<std::uint64_t>(millis), 0);
}

void Timer::stop() { uv_timer_stop(&handle_->handle); }

bool Timer::is_active() const { return uv_is_active(as_handle(handle_)) != 0; }

}  // namespace sc::loop
