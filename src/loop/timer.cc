#include "loop/timer.h"

#include <algorithm>

#include "loop/handle.h"

namespace sc::loop {

struct Timer::TimerWatcher : Watcher<uv_timer_t, base::Callback<void()>> {
  static void on_due(uv_timer_t* handle) noexcept {
    if (handle->data != nullptr) reinterpret_cast<TimerWatcher*>(handle)->function();
  }
};

void Timer::Close::operator()(TimerWatcher* watcher) const noexcept { close_watcher(watcher); }

Timer::Timer(Loop& loop, base::Callback<void()> on_due) {
  auto fresh = std::make_unique<TimerWatcher>();
  fresh->function = std::move(on_due);
  check(uv_timer_init(loop.raw(), &fresh->handle), "uv_timer_init");
  fresh->handle.data = this;
  watcher_.reset(fresh.release());
}

void Timer::start(std::chrono::milliseconds delay) {
  // libuv counts from the start of the turn; after long work in a turn that is in the past.
  uv_update_time(watcher_->handle.loop);
  // And a timer of 0 ms that is started by a timer runs in the same pass over the list (libuv issue
  // 4245, in 1.44), so that one which starts itself again would leave no turn to anybody else.
  const auto millis = static_cast<std::uint64_t>(std::max<std::int64_t>(delay.count(), 1));
  uv_timer_start(&watcher_->handle, &TimerWatcher::on_due, millis, 0);
}

void Timer::stop() { uv_timer_stop(&watcher_->handle); }

bool Timer::is_active() const { return uv_is_active(as_handle(watcher_.get())) != 0; }

}  // namespace sc::loop
