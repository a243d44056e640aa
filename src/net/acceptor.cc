#include "net/acceptor.h"

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <utility>

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
  const bool are_counted = known_ > 0;
  const int most = std::clamp(std::exchange(known_, 0), 1, kAcceptsPerTurn);
  if (!take(most)) return;
  if (are_counted || std::exchange(counts_, !counts_)) known_ = waiting_clients(listener_.get());
}

// So many, who wait. False: not all of them.
bool Acceptor::take(int most) {
  for (int i = 0; i < most; ++i) {
    if (!running_ || (gate_.may_accept && !gate_.may_accept())) return false;
    AcceptResult result = accept(listener_.get());
    if (result.error == 0) {
      on_accept_(std::move(result.accepted));
      continue;
    }
    if (gate_.nobody_taken) gate_.nobody_taken();
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
