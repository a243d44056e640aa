#include "loop/signal.h"

#include "loop/handle.h"

namespace sc::loop {

struct Signal::SignalWatcher : Watcher<uv_signal_t, base::Callback<void()>> {
  static void on_signal(uv_signal_t* handle, int) noexcept {
    if (handle->data != nullptr) reinterpret_cast<SignalWatcher*>(handle)->function();
  }
};

void Signal::Close::operator()(SignalWatcher* watcher) const noexcept { close_watcher(watcher); }

Signal::Signal(Loop& loop, int number, base::Callback<void()> on_signal) {
  auto fresh = std::make_unique<SignalWatcher>();
  fresh->function = std::move(on_signal);
  check(uv_signal_init(loop.raw(), &fresh->handle), "uv_signal_init");
  fresh->handle.data = this;
  watcher_.reset(fresh.release());
  check(uv_signal_start(&watcher_->handle, &SignalWatcher::on_signal, number), "uv_signal_start");
}

}  // namespace sc::loop
