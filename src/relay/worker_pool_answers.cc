// What WorkerPool does about workers and a service manager that do not answer.

#include <algorithm>
#include <utility>

#include "relay/worker_pool.h"

namespace sc::relay {

void WorkerPool::set_still(std::size_t worker, bool is_still) {
  if (workers_[worker]->is_still() == is_still) return;
  workers_[worker]->set_still(is_still);
  if (!is_still || workers_.size() == 1 || !accepts_) return;
  homes_.leave(worker);
  for (AdoptSession& client : workers_[worker]->take_back_clients()) {
    const auto least =
        std::min_element(workers_.begin(), workers_.end(), [](const auto& one, const auto& other) {
          return std::pair(one->is_still(), one->load()) <
                 std::pair(other->is_still(), other->load());
        });
    (*least)->adopt(std::move(client));
  }
  wait_for_answers();
}

// The manager's copy is of the same socket; what is kept of it names the new descriptor.
void WorkerPool::on_moved(std::uint64_t stream_id, int listener) {
  for (auto& [port, active] : active_)
    if (active.id == stream_id && active.kept) {
      // Also if the manager takes it later: the old record names a descriptor that closes.
      active.kept = keep_listener(listener);
      if (!active.kept) are_missed_ = true;
    }
}

void WorkerPool::wait_for_answers() {
  if (!answers_due_.is_active()) answers_due_.start(kAnswersTick);
}

// Listeners that opened while the manager did not read.
void WorkerPool::keep_missed_listeners() {
  if (!are_missed_) return;
  handoff::Keeper& keeper = options_.vault->listener_keeper();
  if (keeper.is_busy()) return;
  are_missed_ = false;
  if (!accepts_) return;
  for (auto& [port, active] : active_) {
    const int listener = homes_.listener(active.id);
    if (active.kept || active.is_released || listener < 0) continue;
    active.kept = keep_listener(listener);
  }
  are_missed_ = keeper.take_missed();
}

// Counts ticks, not time. A pause of the whole process is one tick, in which the workers had no
// more time than this thread.
void WorkerPool::on_answers_due() {
  keep_missed_listeners();
  homes_.tick();
  inquiries_.tick();
  shutdown_.tick();
  if (homes_.waits() || inquiries_.waits() || shutdown_.waits() || are_missed_) wait_for_answers();
}

}  // namespace sc::relay
