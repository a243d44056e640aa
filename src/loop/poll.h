#pragma once

#include <memory>

#include "base/callback.h"
#include "loop/loop.h"

namespace sc::loop {

// What a descriptor is ready for. After an error all are set: the next read or write finds out what
// happened, and its errno.
struct Ready {
  bool read = false;
  bool write = false;
  bool broken = false;  // an error or a full hang-up
};

// Watches one descriptor that somebody else owns; declare it after its Fd, so that it dies first.
// Level-triggered. Remembers its mask, because uv_poll_start costs an epoll DEL + ADD even when
// nothing changes (libuv 1.44). Loop's thread only.
class Poll {
 public:
  // May destroy the Poll.
  using OnReady = base::Callback<void(Ready)>;

  // The descriptor is a socket or a pipe; libuv makes it non-blocking.
  Poll(Loop& loop, int fd, OnReady on_ready);
  Poll(const Poll&) = delete;
  Poll& operator=(const Poll&) = delete;

  // Replaces what is waited for. Neither: it is not watched at all, not even for errors.
  void watch(bool read, bool write);
  // Replaces it by errors and hang-up alone; for a socket whose end has been read already, which
  // would be readable all the time. Out-of-band data is reported too, with `broken` set: ask
  // SO_ERROR.
  void watch_broken();

 private:
  struct PollWatcher;
  struct Close {
    void operator()(PollWatcher* watcher) const noexcept;
  };

  void set_mask(int mask);

  std::unique_ptr<PollWatcher, Close> watcher_;
  int mask_ = 0;
};

}  // namespace sc::loop
