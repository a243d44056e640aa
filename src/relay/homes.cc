#include "relay/homes.h"

#include <fcntl.h>

#include <algorithm>
#include <string>
#include <utility>

#include "base/log.h"
#include "net/socket.h"

namespace sc::relay {

// Workers that stand still are passed over, unless all do.
std::size_t Homes::choose() {
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    const std::size_t worker = next_++ % workers_.size();
    if (!workers_[worker]->is_still()) return worker;
  }
  return next_++ % workers_.size();
}

void Homes::open(StreamContext stream, base::Fd listener) {
  const std::uint64_t id = stream.id;
  const auto [found, is_new] = homes_.try_emplace(id);
  Home& home = found->second;
  home.stream = std::move(stream);
  home.is_paused = false;
  home.tried = 0;
  if (is_new || workers_[home.worker]->is_still()) home.worker = choose();
  send(home, std::move(listener));
}

void Homes::send(Home& home, base::Fd listener) {
  home.stream.counters->home.store(home.worker, std::memory_order_relaxed);
  home.listener = listener.get();
  home.ticks = 0;
  if (!home.opening) ++waiting_;
  home.opening = std::make_shared<OpeningTicket>(std::move(listener));
  workers_[home.worker]->send(OpenListener{home.stream, home.opening});
  if (home.is_paused) workers_[home.worker]->send(PauseListener{home.stream.id});
}

void Homes::when_accepting(std::uint64_t stream_id, OnAccepting on_accepting) {
  const auto found = homes_.find(stream_id);
  if (found == homes_.end() || !found->second.opening) return on_accepting({});
  found->second.on_accepting.push_back(std::move(on_accepting));
}

int Homes::listener(std::uint64_t stream_id) const {
  const auto found = homes_.find(stream_id);
  return found == homes_.end() ? -1 : found->second.listener;
}

void Homes::pause(std::uint64_t stream_id) {
  const auto found = homes_.find(stream_id);
  if (found == homes_.end()) return;
  found->second.is_paused = true;
  workers_[found->second.worker]->send(PauseListener{stream_id});
}

void Homes::resume(std::uint64_t stream_id) {
  const auto found = homes_.find(stream_id);
  if (found == homes_.end()) return;
  found->second.is_paused = false;
  workers_[found->second.worker]->send(ResumeListener{stream_id});
}

void Homes::change(std::uint64_t stream_id, std::shared_ptr<const SessionSpec> spec) {
  const auto found = homes_.find(stream_id);
  if (found == homes_.end()) return;
  found->second.stream.spec = spec;
  workers_[found->second.worker]->send(ChangeSpec{stream_id, std::move(spec)});
}

void Homes::close(std::uint64_t stream_id, OnClosed on_closed) {
  Closing closing;
  closing.ticket = std::make_shared<ClosingTicket>();
  closing.on_closed = std::move(on_closed);
  if (const auto found = homes_.find(stream_id); found != homes_.end()) {
    Home home = std::move(found->second);
    homes_.erase(found);
    closing.worker = home.worker;
    closing.listener = home.listener;
    if (home.opening) {
      --waiting_;
      // Not taken yet: closed here, and the worker finds nothing to take.
      if (auto listener = home.opening->take()) {
        net::stop_listening(listener->get());
        closing.listener = -1;
      }
      answer(home, {});
    }
  }
  // An answer that comes first finds the closing.
  Worker& worker = *workers_[closing.worker];
  const auto ticket = closing.ticket;
  closings_.insert_or_assign(stream_id, std::move(closing));
  worker.send(CloseListener{stream_id, ticket});
}

void Homes::handle(const ListenerOpened& event) {
  const auto found = homes_.find(event.stream_id);
  if (found == homes_.end() || found->second.opening != event.ticket) return;
  found->second.opening.reset();
  --waiting_;
  answer(found->second, {});
}

void Homes::handle(const ListenerClosed& event) {
  auto closing = closings_.extract(event.stream_id);
  if (closing.empty()) return;
  closing.mapped().on_closed();
}

void Homes::leave(std::size_t worker) {
  for (auto& [id, home] : homes_) {
    if (home.worker != worker || home.listener < 0) continue;
    if (home.opening) {
      on_untaken(home);
      continue;
    }
    // The worker keeps its own descriptor until it goes on; both are of one socket.
    base::Fd copy(::fcntl(home.listener, F_DUPFD_CLOEXEC, 0));
    if (!copy) continue;
    workers_[worker]->send(AbandonListener{id});
    move(home, std::move(copy));
  }
}

void Homes::move(Home& home, base::Fd listener) {
  home.worker = choose();
  const int fd = listener.get();
  send(home, std::move(listener));
  on_moved_(home.stream.id, fd);
}

// Tried with each worker once, and kTries times at least; then it stays where it is and is taken
// when that worker goes on.
void Homes::on_untaken(Home& home) {
  if (++home.tried >= std::max(workers_.size(), kTries)) {
    answer(home, base::Error{base::Errc::unavailable,
                             "it is saved, but no worker accepts its clients now: none of " +
                                 std::to_string(workers_.size()) + " worker threads answers"});
    const bool none_answers = std::all_of(workers_.begin(), workers_.end(),
                                          [](const auto& worker) { return worker->is_still(); });
    if (none_answers || !workers_[home.worker]->is_still()) return;
  }
  auto listener = home.opening->take();
  if (!listener) return;  // its answer is on the way
  home.worker = choose();
  send(home, std::move(*listener));
}

void Homes::answer(Home& home, const base::Result<void>& result) {
  for (auto& on_accepting : std::exchange(home.on_accepting, {})) on_accepting(result);
}

void Homes::tick() {
  std::vector<std::uint64_t> untaken;
  for (auto& [id, home] : homes_)
    if (home.opening && ++home.ticks % kPatience == 0) untaken.push_back(id);
  for (const std::uint64_t id : untaken)  // an answer may open and close others
    if (const auto found = homes_.find(id); found != homes_.end() && found->second.opening)
      on_untaken(found->second);
  std::vector<std::uint64_t> unclosed;
  for (auto& [id, closing] : closings_)
    if (++closing.ticks >= kPatience || workers_[closing.worker]->is_still())
      unclosed.push_back(id);
  for (const std::uint64_t id : unclosed) {
    const auto found = closings_.find(id);
    if (found == closings_.end()) continue;
    Closing& closing = found->second;
    if (!closing.ticket->claim([&] { close_for_worker(closing); })) continue;  // it has just closed
    base::log::warning("a listener is closed for a worker that does not answer",
                       {{"worker", Worker::name_of(closing.worker)}});
    auto on_closed = std::move(closing.on_closed);
    closings_.erase(found);
    on_closed();
  }
}

// The socket listens no more, and its port can be bound by us (SO_REUSEADDR). The descriptor stays
// the worker's: it has to leave the worker's epoll set before it is closed (see loop::Poll).
void Homes::close_for_worker(const Closing& closing) {
  if (closing.listener >= 0) net::stop_listening(closing.listener);
}

}  // namespace sc::relay
