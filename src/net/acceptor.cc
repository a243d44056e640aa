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
  for (int i = 0; i < quota_ && running_; ++i) {
    if (gate_.may_accept && !gate_.may_accept(i == 0)) return;
    AcceptResult result = accept(listener_.get());
    if (result.error == 0) {
      on_accept_(std::move(result.accepted));
      continue;
    }
    quota_ = 1;
    if (gate_.nobody_came) gate_.nobody_came();
    if (result.error != EAGAIN && result.error != EWOULDBLOCK)
      rest(base::describe_errno("accept", result.error));
    return;
  }
  quota_ = std::min(quota_ * 2, kAcceptsPerTurn);
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
