#include "loop/wakeup.h"

#include "loop/handle.h"

namespace sc::loop {

struct Wakeup::WakeupWatcher : Watcher<uv_async_t, base::Callback<void()>> {
  static void on_wake(uv_async_t* handle) noexcept {
    if (handle->data != nullptr) reinterpret_cast<WakeupWatcher*>(handle)->function();
  }
};

void Wakeup::Close::operator()(WakeupWatcher* watcher) const noexcept { close_watcher(watcher); }

Wakeup::Wakeup(Loop& loop, base::Callback<void()> on_wake) {
  auto fresh = std::make_unique<WakeupWatcher>();
  fresh->function = std::move(on_wake);
  check(uv_async_init(loop.raw(), &fresh->handle, &WakeupWatcher::on_wake), "uv_async_init");
  fresh->handle.data = this;
  watcher_.reset(fresh.release());
}

void Wakeup::wake() { uv_async_send(&watcher_->handle); }

}  // namespace sc::loop
