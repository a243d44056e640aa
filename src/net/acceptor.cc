#include "net/acceptor.h"

#include <algorithm>
#include <cerrno>
#include <stdexcept>

#include "base/log.h"

namespace sc::net {

Acceptor::Acceptor(loop::Loop& loop, base::Fd listener, OnAccept on_accept, Gate gate)
    : loop_(loop),
      listener_(std::move(listener)),
      on_accept_(std::move(on_accept)),
      gate_(std::move(gate)),
      poll_(loop, listener_.get(), [this](loop::Ready) { on_ready(); }) {}

void Acceptor::resume() {
  running_ = true;
  update();
}

void Acceptor::pause() {
  running_ = false;
  update();
}

void Acceptor::update() {
  try {
    poll_.watch(running_ && !(back_off_ && back_off_->is_active()), false);
  } catch (const std::runtime_error& failure) {
    rest(failure.what());
  }
}

void Acceptor::on_ready() {
  const int quota = quota_;
  if (quota == 1 || !gate_.is_up_to_date) {
    if (take(quota, false)) quota_ = std::min(quota * 2, kAcceptsPerTurn);
    return;
  }
  const int waiting = waiting_clients(listener_.get());  // counted before it is asked
  if (!gate_.is_up_to_date()) {
    take(1, false);
  } else if (take(std::clamp(waiting, 1, quota), true)) {
    quota_ = waiting > quota ? std::min(quota * 2, kAcceptsPerTurn) : 1;
  }
}

// So many, if nothing is in the way. `are_there`: all of them wait, else the first one does.
bool Acceptor::take(int most, bool are_there) {
  for (int i = 0; i < most && running_; ++i) {
    if (gate_.may_accept && !gate_.may_accept(are_there || i == 0)) return false;
    AcceptResult result = accept(listener_.get());
    if (result.error == 0) {
      on_accept_(std::move(result.accepted));
      continue;
    }
    quota_ = 1;
    if (gate_.nobody_came) gate_.nobody_came();
    if (result.error != EAGAIN && result.error != EWOULDBLOCK)
      rest(base::describe_errno("accept", result.error));
    return false;
  }
  return true;
}

// EMFILE, ENFILE, ENOBUFS, ENOMEM, or no room in the epoll set: nothing here can be freed by trying
// again at once.
void Acceptor::rest(const std::string& why) {
  if (!back_off_) back_off_.emplace(loop_, [this] { update(); });
  back_off_->start(kAcceptBackOff);
  update();
  if (warned_ && loop_.now() - *warned_ < kWarnEvery) return;
  warned_ = loop_.now();
  base::log::warning("clients wait: " + why,
                     {{"listener", local_address(listener_.get()).to_string()}});
}

}  // namespace sc::net
