#pragma once

#include "loop/loop.h"
#include "loop/timer.h"
#include "loop/wakeup.h"
#include "systemd/notify_queue.h"

namespace sc::systemd {

// Sends what waits in a NotifyQueue, by a timer, until the manager has taken it. A timer, as a
// datagram socket that is not connected reports as writable while its peer's queue is full.
// Outlives the threads that use the queue. Loop's thread.
class NotifyFlusher {
 public:
  NotifyFlusher(loop::Loop& loop, NotifyQueue& queue);
  NotifyFlusher(const NotifyFlusher&) = delete;
  NotifyFlusher& operator=(const NotifyFlusher&) = delete;
  ~NotifyFlusher();

 private:
  void flush();

  NotifyQueue& queue_;
  loop::Timer timer_;
  loop::Wakeup wakeup_;
};

}  // namespace sc::systemd
