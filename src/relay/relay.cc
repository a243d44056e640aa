#include "relay/relay.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <utility>

#include "base/kill_point.h"
#include "net/lost_way.h"
#include "net/socket.h"

namespace sc::relay {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr std::chrono::milliseconds kAtOnce{1};

bool is_reset(core::EndReason reason) {
  return reason == core::EndReason::backend_reset || reason == core::EndReason::client_reset;
}

// One function decides what an end waits for; nobody else touches the masks. An end that waits for
// nothing is not polled, except that one whose end has been read is watched for a reset: nothing
// else would tell of it before the other side speaks.
void set_poll(loop::Poll& poll, const Pump& from_it, const Pump& to_it) {
  const bool read = from_it.wants_read();
  const bool write = to_it.wants_write();
  if (!read && !write && from_it.state() == Pump::State::finished) {
    poll.watch_broken();
  } else {
    poll.watch(read, write);
  }
}

}  // namespace

Relay::Relay(loop::Loop& loop, base::Fd client, net::Dialed backend,
             const Pump::Resources& resources, std::chrono::milliseconds idle_timeout,
             StreamCounters& counters, OnDone on_done)
    : loop_(loop),
      client_(std::move(client)),
      backend_(std::move(backend.fd)),
      own_(std::move(backend.own)),
      up_(resources),
      down_(resources),
      counters_(counters),
      idle_timeout_(idle_timeout),
      last_byte_at_(loop.now()),
      on_done_(std::move(on_done)),
      backend_poll_(std::move(backend.poll)) {
  start();
}

Relay::Relay(loop::Loop& loop, handoff::KeptSession kept, net::OwnPaths::Announced own,
             const Pump::Resources& resources, std::chrono::milliseconds idle_timeout,
             StreamCounters& counters, OnDone on_done)
    : loop_(loop),
      client_(std::move(kept.client)),
      backend_(std::move(kept.backend)),
      own_(std::move(own)),
      record_(std::move(kept.record)),
      up_(resources),
      down_(resources),
      counters_(counters),
      idle_timeout_(idle_timeout),
      on_done_(std::move(on_done)),
      backend_poll_(std::make_unique<loop::Poll>(loop, backend_.get(), loop::Poll::OnReady{})) {
  const handoff::SessionFacts facts = record_->facts();
  bytes_in_ = facts.bytes_in;
  bytes_out_ = facts.bytes_out;
  last_byte_at_ = std::chrono::milliseconds(facts.last_byte_at);
  up_.resume(std::move(kept.up), record_->slot().down_ended);
  down_.resume(std::move(kept.down), record_->slot().up_ended);
  // When it ended is not known. No byte moved after that in a session that can be `empty`.
  if (record_->slot().up_ended.load() != 0 && record_->slot().down_ended.load() == 0)
    client_ended_first_at_ = last_byte_at_;
  begin_keeping();
  SC_KILL_POINT("resumed");
  start();
}

void Relay::start() {
  client_poll_.emplace(loop_, client_.get(), [this](loop::Ready ready) { on_client(ready); });
  backend_poll_->set_on_ready([this](loop::Ready ready) { on_backend(ready); });
  try {
    update();
  } catch (const std::exception&) {
    own_ = {};
    for (const base::Fd* fd : {&client_, &backend_}) net::end_connection(fd->get());
    throw;
  }
  if (idle_timeout_.count() > 0) {
    idle_check_ = std::make_unique<loop::Timer>(loop_, [this] { on_idle_check(); });
    idle_check_->start(std::max(last_byte_at_ + idle_timeout_ - loop_.now(), kAtOnce));
  }
}

bool Relay::keep(handoff::Keeper& keeper, handoff::SessionFacts facts) {
  if (record_ && !record_->is_held()) stop_keeping();  // it was refused, as we know only now
  if (record_ || !client_) return false;
  facts.bytes_in = bytes_in_;
  facts.bytes_out = bytes_out_;
  facts.last_byte_at = last_byte_at_.count();
  facts.is_counted = facts.is_counted || is_counted_;
  record_ = handoff::SessionRecord::make(keeper, facts, client_.get(), backend_.get(),
                                         [this](const handoff::SessionRecord::Place& place) {
                                           if (!up_.keep(place.up, place.slot)) return false;
                                           SC_KILL_POINT("half_claimed");
                                           return down_.keep(place.down, place.slot);
                                         });
  if (record_) {
    has_copies_ = true;
    return true;
  }
  is_counted_ = true;
  up_.let_go();
  down_.let_go();
  return false;
}

bool Relay::keep(std::unique_ptr<handoff::SessionRecord> record) {
  record_ = std::move(record);
  return record_ && begin_keeping();
}

bool Relay::begin_keeping() {
  has_copies_ = true;
  handoff::SessionSlot& slot = record_->slot();
  if (up_.keep(record_->owner(handoff::Direction::up), slot) &&
      down_.keep(record_->owner(handoff::Direction::down), slot))
    return true;
  record_->count_no_pipe();
  stop_keeping();
  return false;
}

// It goes on as a session of this process alone. The record first: a session without its bytes must
// not be found. Copies of its sockets stay where they are for now, and resets on close stay set: by
// them the next process knows that nobody has ended it.
void Relay::stop_keeping() {
  record_.reset();
  is_counted_ = true;
  up_.let_go();
  down_.let_go();
}

void Relay::on_client(loop::Ready ready) {
  if (ready.broken && !up_.wants_read() && !down_.wants_write()) {
    on_broken(client_.get(), core::EndReason::client_reset);
    return;
  }
  if (ready.read) pump_up(ready.ended);
  if (ready.write) pump_down(false);
  update();  // may destroy this
}

void Relay::on_backend(loop::Ready ready) {
  if (ready.broken && !down_.wants_read() && !up_.wants_write()) {
    on_broken(backend_.get(), core::EndReason::backend_reset);
    return;
  }
  if (ready.write) pump_up(false);
  if (ready.read) pump_down(ready.ended);
  update();  // may destroy this
}

// A side that nothing was expected of has broken. Without an error it was a hang-up, which the
// pumps find out.
void Relay::on_broken(int fd, core::EndReason reason) {
  if (const int error = net::take_error(fd); error != 0) finish(reason, error);
}

void Relay::pump_up(bool ended) {
  if (!up_.wants_read() && !up_.wants_write()) return;
  if (down_.is_over()) up_.withhold_end();  // close(2) comes next and tells it
  const std::size_t moved = up_.step(client_.get(), backend_.get(), ended);
  if (up_.state() == Pump::State::finished && !down_.is_over() && !client_ended_first())
    client_ended_first_at_ = loop_.now();
  if (moved == 0) return;
  bytes_in_ += moved;
  if (record_) record_->slot().bytes_in.store(bytes_in_, kRelaxed);
  counters_.bytes_in.fetch_add(moved, kRelaxed);
  note_byte();
}

void Relay::pump_down(bool ended) {
  if (!down_.wants_read() && !down_.wants_write()) return;
  if (up_.is_over()) down_.withhold_end();
  const std::size_t moved = down_.step(backend_.get(), client_.get(), ended);
  if (moved == 0) return;
  if (bytes_out_ == 0) first_byte_at_ = std::chrono::steady_clock::now();
  bytes_out_ += moved;
  if (record_) record_->slot().bytes_out.store(bytes_out_, kRelaxed);
  counters_.bytes_out.fetch_add(moved, kRelaxed);
  note_byte();
}

void Relay::note_byte() {
  last_byte_at_ = loop_.now();
  if (record_) record_->slot().last_byte_at.store(last_byte_at_.count(), kRelaxed);
}

void Relay::update() {
  // Level-triggered: what could not be moved is told again.
  if (up_.lacks_pipe() || down_.lacks_pipe()) {
    record_->count_no_pipe();
    stop_keeping();
  }
  if (up_.fault() == Pump::Fault::source) return finish(core::EndReason::client_reset, up_.error());
  if (down_.fault() == Pump::Fault::source)
    return finish(core::EndReason::backend_reset, down_.error());
  // A sink has broken. What that side sent before it broke may still wait to be read: pass it on,
  // then end.
  if (up_.fault() == Pump::Fault::sink) {
    if (down_.is_over()) return finish(core::EndReason::backend_reset, up_.error());
    down_.withhold_end();
  }
  if (down_.fault() == Pump::Fault::sink) {
    if (up_.is_over()) return finish(core::EndReason::client_reset, down_.error());
    up_.withhold_end();
  }
  if (up_.is_over() && down_.is_over()) return finish(core::EndReason::finished, 0);
  set_poll(*client_poll_, up_, down_);
  set_poll(*backend_poll_, down_, up_);
}

void Relay::on_idle_check() {
  const auto rest = last_byte_at_ + idle_timeout_ - loop_.now();
  if (rest.count() <= 0) {
    finish(core::EndReason::idle_timeout, 0);
  } else {
    idle_check_->start(rest);  // bytes moved since: one timer a period, none a byte
  }
}

void Relay::cut(core::EndReason reason) { finish(reason, 0); }

// A client that keepalive found dead has not left. A backend that had ended without a byte before
// does not matter for a client that resets. One that resets after its client's end answers it.
bool Relay::left_empty(core::EndReason reason, int error) const {
  if (bytes_in_ > 0 || bytes_out_ > 0) return false;
  const bool has_left = error == 0 || error == ECONNRESET || error == EPIPE;
  if (reason == core::EndReason::client_reset) return has_left;
  return client_ended_first() && (reason == core::EndReason::finished ||
                                  (reason == core::EndReason::backend_reset && has_left));
}

// There are copies: what close(2) would do has to be done before. Of one that is cut the record
// goes first: else the next process might find one side closed and the other still open, and take
// that for an orderly end.
void Relay::end_copied(core::EndReason reason) {
  client_poll_.reset();
  backend_poll_.reset();
  if (reason != core::EndReason::finished) record_.reset();
  const auto end = [reason](int fd, const Pump& to_it) {
    if (reason != core::EndReason::finished) return net::end_connection(fd);
    if (!to_it.has_told_end()) ::shutdown(fd, SHUT_WR);
    net::end_on_close(fd);
  };
  end(client_.get(), down_);
  SC_KILL_POINT("one_over");
  end(backend_.get(), up_);
  SC_KILL_POINT("over");
  record_.reset();
}

// The reset that ends a ring passes from stream to stream: each of them ends for the ring, and no
// backend or client is blamed. The dialer does the same for a session that still dials.
void Relay::blame_ring(RelayEnd& how) const {
  if (!is_reset(how.reason) || own_.dial() == nullptr) return;
  how.ring = own_.dial()->ring();
  if (how.ring.empty()) return;
  how.reason = core::EndReason::loop;
  how.left_empty = false;
  how.error = 0;
  if (via_) via_->set_ring(how.ring);
}

void Relay::finish(core::EndReason reason, int error) {
  auto done = std::move(on_done_);  // done may destroy this: touch nothing after
  RelayEnd how{reason,
               error,
               bytes_in_,
               bytes_out_,
               is_closing() ? core::SessionPhase::close : core::SessionPhase::relay,
               left_empty(reason, error),
               reason == core::EndReason::finished ? client_ended_first_at_ : loop_.now()};
  blame_ring(how);
  if (is_reset(how.reason) && net::may_be_lost_way(error))
    how.local = net::PackedAddress(net::local_address(
        how.reason == core::EndReason::client_reset ? client_.get() : backend_.get()));
  own_ = {};  // another program may get the port of a closed socket at once
  if (has_copies_) {
    end_copied(reason);
  } else {
    if (reason != core::EndReason::finished) {
      net::reset_on_close(client_.get());
      net::reset_on_close(backend_.get());
    }
    client_poll_->abandon();
    backend_poll_->abandon();
  }
  client_.reset();
  backend_.reset();
  idle_check_.reset();
  done(std::move(how));
}

}  // namespace sc::relay
