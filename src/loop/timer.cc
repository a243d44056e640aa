#include "loop/timer.h"

#include "loop/due_timers.h"
#include "loop/spare_timers.h"

namespace sc::loop {
namespace {

void on_due(uv_timer_t* raw) noexcept {
  static_cast<Loop*>(raw->loop->data)->due_timers().add(*reinterpret_cast<TimerHandle*>(raw));
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
  loop_.due_timers().remove(*handle_);
  // libuv counts from the start of the turn; after long work in a turn that is in the past.
  uv_update_time(loop_.raw());
  // Its clock is in whole milliseconds, the begun one left out: one more, or it would be early.
  const std::int64_t millis = delay.count() > 0 ? delay.count() + 1 : 1;
  uv_timer_start(&handle_->handle, &loop::on_due, static_cast<std::uint64_t>(millis), 0);
}

void Timer::stop() {
  loop_.due_timers().remove(*handle_);
  uv_timer_stop(&handle_->handle);
}

bool Timer::is_active() const {
  return handle_->due_place != 0 || uv_is_active(as_handle(handle_)) != 0;
}

}  // namespace sc::loop
