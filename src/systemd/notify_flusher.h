#pragma once

#include "loop/loop.h"
#include "loop/timer.h"
#include "loop/wakeup.h"
#include "systemd/notify_queue.h"

namespace sc::systemd {

// Sends the messages that wait in a NotifyQueue, by a timer, until the manager has taken them. Poll
// does not work: an unconnected datagram socket is writable while its peer's queue is full.
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
