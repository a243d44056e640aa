#include "relay/shutdown_sequence.h"

#include <cassert>
#include <string>
#include <utility>

#include "base/log.h"

namespace sc::relay {

void ShutdownSequence::drain(std::chrono::milliseconds limit,
                             base::Callback<void(std::size_t)> on_done) {
  assert(!on_drained_);
  on_drained_ = std::move(on_done);
  drain_limit_ = limit;
  accepting_.begin(workers_.size(), kPatience);
  for (const auto& worker : workers_) worker->send(StopAccepting{});
}

void ShutdownSequence::hand_over(base::Callback<void(HandOverReport)> on_done) {
  assert(vault_ != nullptr && !on_handed_over_);
  on_handed_over_ = std::move(on_done);
  leaving_.begin(workers_.size(), kPatience);
  vault_->listener_keeper().leave();
  for (const auto& worker : workers_) worker->send(StopAccepting{.leaves = true});
}

// The next step begins when no worker accepts any more. A session that one worker has given to
// another is in the mailbox ahead of that step, so a draining worker gets no more sessions.
void ShutdownSequence::handle(const AcceptingStopped& event) {
  if (event.leaves) {
    if (leaving_.note(event.worker)) on_left();
  } else if (accepting_.note(event.worker)) {
    on_accepting_stopped();
  }
}

void ShutdownSequence::on_left() {
  handing_over_.begin(workers_.size(), kHandOverPatience);
  for (const auto& worker : workers_) worker->send(HandOver{});
}

void ShutdownSequence::on_accepting_stopped() {
  if (vault_ != nullptr) vault_->listener_keeper().flush();
  draining_.begin(workers_.size(), kPatience + static_cast<unsigned>(drain_limit_ / tick_));
  for (const auto& worker : workers_) worker->send(DrainAll{drain_limit_});
}

void ShutdownSequence::handle(const Drained& event) {
  if (!draining_.is_open()) return;  // given up, and counted
  cut_ += event.cut;
  if (draining_.note(event.worker)) on_drained();
}

void ShutdownSequence::on_drained() {
  auto done = std::move(on_drained_);
  done(cut_);
}

void ShutdownSequence::handle(const HandedOver& event) {
  if (!handing_over_.is_open()) return;
  handed_over_.kept += event.kept;
  handed_over_.cut += event.cut;
  if (handing_over_.note(event.worker)) on_handed_over();
}

void ShutdownSequence::on_handed_over() {
  auto done = std::move(on_handed_over_);
  done(handed_over_);
}

void ShutdownSequence::tick() {
  if (accepting_.tick()) {
    for (const std::size_t worker : accepting_.give_up())
      base::log::warning("a worker does not stop accepting, the drain goes on without it",
                         {{"thread", Worker::name_of(worker)}});
    on_accepting_stopped();
  }
  if (leaving_.tick()) {
    for (const std::size_t worker : leaving_.give_up())
      base::log::warning("a worker does not stop accepting, the hand-over goes on without it",
                         {{"thread", Worker::name_of(worker)}});
    on_left();
  }
  if (draining_.tick()) {
    for (const std::size_t worker : draining_.give_up()) {
      const std::size_t sessions = workers_[worker]->load();
      cut_ += sessions;
      base::log::warning(
          "a worker does not drain, its sessions end with the process",
          {{"thread", Worker::name_of(worker)}, {"sessions", std::to_string(sessions)}});
    }
    on_drained();
  }
  if (handing_over_.tick()) {
    for (const std::size_t worker : handing_over_.give_up()) {
      base::log::error(
          "a worker did not hand over, its sessions are left as a kill would leave them",
          {{"thread", Worker::name_of(worker)},
           {"sessions", std::to_string(workers_[worker]->load())}});
    }
    on_handed_over();
  }
}

}  // namespace sc::relay
