#include "systemd/notify_flusher.h"

namespace sc::systemd {

NotifyFlusher::NotifyFlusher(loop::Loop& loop, NotifyQueue& queue)
    : queue_(queue), timer_(loop, [this] { flush(); }), wakeup_(loop, [this] {
        if (!timer_.is_active()) timer_.start(NotifyQueue::kFirstBackOff);
      }) {
  queue_.set_on_waiting([this] { wakeup_.wake(); });
}

NotifyFlusher::~NotifyFlusher() { queue_.set_on_waiting({}); }

void NotifyFlusher::flush() {
  if (const auto again = queue_.flush()) timer_.start(*again);
}

}  // namespace sc::systemd
