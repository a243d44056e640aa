#include "loop/poll.h"

#include "loop/handle.h"

namespace sc::loop {

struct Poll::PollWatcher : Watcher<uv_poll_t, OnReady> {
  static void on_event(uv_poll_t* handle, int status, int events) noexcept {
    auto* self = static_cast<Poll*>(handle->data);
    if (self == nullptr) return;
    // libuv 1.44 answers EPOLLERR with UV_EBADF and stops the handle (uv__poll_io).
    if (status < 0) self->mask_ = 0;
    const Ready ready = status < 0 ? Ready{true, true, true}
                                   : Ready{(events & UV_READABLE) != 0, (events & UV_WRITABLE) != 0,
                                           (events & UV_PRIORITIZED) != 0};
    reinterpret_cast<PollWatcher*>(handle)->function(ready);  // may destroy self
  }
};

void Poll::Close::operator()(PollWatcher* watcher) const noexcept { close_watcher(watcher); }

Poll::Poll(Loop& loop, int fd, OnReady on_ready) {
  auto fresh = std::make_unique<PollWatcher>();
  fresh->function = std::move(on_ready);
  check(uv_poll_init(loop.raw(), &fresh->handle, fd), "uv_poll_init");
  fresh->handle.data = this;
  watcher_.reset(fresh.release());
}

void Poll::watch(bool read, bool write) {
  set_mask((read ? UV_READABLE : 0) | (write ? UV_WRITABLE : 0));
}

// The kernel reports EPOLLERR and EPOLLHUP whatever is asked for, but libuv, asked for nothing,
// does not ask at all: so ask for what does not come.
void Poll::watch_broken() { set_mask(UV_PRIORITIZED); }

void Poll::set_mask(int mask) {
  if (mask == mask_) return;
  mask_ = mask;
  if (mask == 0) {
    uv_poll_stop(&watcher_->handle);
  } else {
    uv_poll_start(&watcher_->handle, mask, &PollWatcher::on_event);
  }
}

}  // namespace sc::loop
