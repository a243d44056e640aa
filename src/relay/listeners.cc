#include "relay/listeners.h"

#include <string>
#include <utility>

#include "base/log.h"

namespace sc::relay {
namespace {

constexpr std::chrono::milliseconds kLogEvery{1000};
// So many may be woken each time that there is room. More are woken at most every kWakeDelay, or
// thousands of streams at a limit would cost two calls each with every session that ends.
constexpr std::size_t kWokenAtOnce = 16;
constexpr std::chrono::milliseconds kWakeDelay{10};

}  // namespace

Listeners::Listeners(loop::Loop& loop, Admission& admission, bool are_kept, OnClient on_client)
    : loop_(loop),
      admission_(admission),
      are_kept_(are_kept),
      on_client_(std::move(on_client)),
      wake_due_(loop, [this] { wake_all(); }) {}

void Listeners::open(StreamContext stream, base::Fd listener) {
  const std::uint64_t id = stream.id;
  net::Acceptor::Gate gate{[this, id] { return may_accept(id); }, [this, id] { on_nobody(id); }};
  auto acceptor = std::make_unique<net::Acceptor>(
      loop_, std::move(listener),
      [this, id](net::Accepted client) { on_accept(id, std::move(client)); }, std::move(gate));
  Listener fresh{std::move(stream), std::move(acceptor), false, nullptr, false};
  listeners_.insert_or_assign(id, std::move(fresh)).first->second.acceptor->resume();
}

void Listeners::pause(std::uint64_t stream_id) {
  const auto found = listeners_.find(stream_id);
  if (found == listeners_.end()) return;
  found->second.paused = true;
  found->second.acceptor->pause();
}

void Listeners::resume(std::uint64_t stream_id) {
  const auto found = listeners_.find(stream_id);
  if (found == listeners_.end()) return;
  found->second.paused = false;
  if (!found->second.waits) found->second.acceptor->resume();
}

void Listeners::change(std::uint64_t stream_id, std::shared_ptr<const SessionSpec> spec) {
  const auto found = listeners_.find(stream_id);
  if (found == listeners_.end()) return;
  found->second.stream.spec = std::move(spec);
  if (found->second.waits) set_waits(found->second, nullptr);  // its limit may be another one now
}

void Listeners::close(std::uint64_t stream_id) {
  const auto found = listeners_.find(stream_id);
  if (found == listeners_.end()) return;
  if (are_kept_) net::stop_listening(found->second.acceptor->fd());
  abandon(stream_id);
}

void Listeners::abandon(std::uint64_t stream_id) {
  const auto found = listeners_.find(stream_id);
  if (found == listeners_.end()) return;
  if (found->second.is_in_line) std::erase(waiting_, stream_id);
  listeners_.erase(found);
}

void Listeners::close_all() {
  if (are_kept_)
    for (const auto& [id, listener] : listeners_) net::stop_listening(listener.acceptor->fd());
  leave();
}

void Listeners::leave() {
  listeners_.clear();
  waiting_.clear();
  wake_due_.stop();
}

void Listeners::on_room() {
  if (waiting_.size() <= kWokenAtOnce) {
    wake_all();
  } else if (!wake_due_.is_active()) {
    wake_due_.start(kWakeDelay);
  }
}

void Listeners::on_stream_room(std::uint64_t stream_id) {
  const auto found = listeners_.find(stream_id);
  if (found != listeners_.end()) set_waits(found->second, nullptr);
}

bool Listeners::may_accept(std::uint64_t stream_id) {
  Listener& listener = listeners_.at(stream_id);
  const Room room = admission_.enter(*listener.stream.counters);
  if (room == Room::granted) return true;
  set_waits(listener, admission_.begin_wait(room));
  // It is in line already if it was woken by another room or another spec.
  if (room != Room::stream_full && !std::exchange(listener.is_in_line, true))
    waiting_.push_back(stream_id);
  admission_.count_refusal(*listener.stream.counters, room);
  log_refusal(listener, room);
  return false;
}

void Listeners::on_nobody(std::uint64_t stream_id) {
  Listener& listener = listeners_.at(stream_id);
  if (admission_.leave(*listener.stream.counters)) set_waits(listener, nullptr);
}

void Listeners::on_accept(std::uint64_t stream_id, net::Accepted client) {
  on_client_(listeners_.at(stream_id).stream, std::move(client));
}

void Listeners::set_waits(Listener& listener, Admission::Wait waits) {
  listener.waits = std::move(waits);
  if (listener.waits) {
    listener.acceptor->pause();
  } else if (!listener.paused) {
    listener.acceptor->resume();
  }
}

void Listeners::wake_all() {
  for (const std::uint64_t id : std::exchange(waiting_, {})) {
    const auto found = listeners_.find(id);
    if (found == listeners_.end()) continue;
    found->second.is_in_line = false;
    if (found->second.waits) set_waits(found->second, nullptr);
  }
}

void Listeners::log_refusal(const Listener& listener, Room room) {
  if (logged_at_ && loop_.now() - *logged_at_ < kLogEvery) return;
  logged_at_ = loop_.now();
  base::log::warning("clients wait for room", {{"port", std::to_string(listener.stream.spec->port)},
                                               {"limit", std::string(to_string(room))},
                                               {"sessions", std::to_string(admission_.sessions())},
                                               {"times", std::to_string(admission_.refusals())}});
}

}  // namespace sc::relay
