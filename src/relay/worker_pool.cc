#include "relay/worker_pool.h"

#include <cassert>
#include <utility>

#include "net/socket.h"

namespace sc::relay {
namespace {

base::Result<base::Fd> listen_everywhere(std::uint16_t port, const net::ListenOptions& options) {
  auto both = net::listen_tcp(net::Address::any_v6(port), options);
  // A host without IPv6 (EAFNOSUPPORT, EADDRNOTAVAIL) is unavailable; a port that is taken, or
  // needs a privilege, would be so with IPv4 alone as well.
  if (both || both.error().code != base::Errc::unavailable) return both;
  return net::listen_tcp(net::Address::any_v4(port), options);
}

}  // namespace

WorkerPool::WorkerPool(loop::Loop& control, const WorkerPoolOptions& options,
                       OnBackendNote on_backend_note)
    : options_(options),
      on_backend_note_(std::move(on_backend_note)),
      admission_(options.limits,
                 [this] {
                   for (const auto& worker : workers_) worker->send(LookForRoom{});
                 }),
      inbox_(control, [this](WorkerEvent event) {
        std::visit([this](const auto& each) { handle(each); }, event);
      }) {
  assert(options_.workers > 0);
  for (std::size_t i = 0; i < options_.workers; ++i)
    workers_.push_back(
        std::make_unique<Worker>(i, options_.session, admission_, workers_,
                                 [this](WorkerEvent event) { inbox_.send(std::move(event)); }));
  try {
    for (const auto& worker : workers_) worker->start();
  } catch (...) {
    shutdown();  // those that run; they would never end by themselves
    throw;
  }
}

WorkerPool::~WorkerPool() { shutdown(); }

void WorkerPool::shutdown() {
  for (const auto& worker : workers_) worker->send(Shutdown{});
  for (const auto& worker : workers_) worker->join();  // all, before one of them is destroyed
}

base::Result<base::Fd> WorkerPool::prepare(std::uint16_t port) {
  if (!admission_.has_descriptors(1))
    return base::Error{base::Errc::unavailable,
                       "port " + std::to_string(port) +
                           ": the service has as many descriptors open as its limit allows"};
  const net::ListenOptions listen{options_.session.keepalive};
  if (!options_.listen_address) return listen_everywhere(port, listen);
  net::Address address = *options_.listen_address;
  address.set_port(port);
  return net::listen_tcp(address, listen);
}

void WorkerPool::activate(base::Fd listener, const core::StreamSpec& spec) {
  assert(!active_.contains(spec.port));
  const Active active{next_id_++, next_home_++ % workers_.size(),
                      std::make_shared<StreamCounters>()};
  admission_.add_listener();
  StreamContext context{active.id, active.home, std::make_shared<const core::StreamSpec>(spec),
                        active.counters};
  workers_[active.home]->send(OpenListener{std::move(context), std::move(listener)});
  active_.emplace(spec.port, active);
}

void WorkerPool::change(const core::StreamSpec& spec) {
  const Active& active = active_.at(spec.port);
  active.counters->backend_trouble.store(false);  // that was the former backend's
  workers_[active.home]->send(
      ChangeSpec{active.id, std::make_shared<const core::StreamSpec>(spec)});
}

void WorkerPool::pause(std::uint16_t port) {
  const Active& active = active_.at(port);
  workers_[active.home]->send(PauseListener{active.id});
}

void WorkerPool::resume(std::uint16_t port) {
  const Active& active = active_.at(port);
  workers_[active.home]->send(ResumeListener{active.id});
}

void WorkerPool::close(std::uint16_t port, std::chrono::milliseconds drain,
                       base::Callback<void()> on_free) {
  const auto found = active_.find(port);
  assert(found != active_.end());
  const Active active = std::move(found->second);
  active_.erase(found);
  closing_.emplace(active.id, Closing{drain, std::move(on_free)});
  workers_[active.home]->send(CloseListener{active.id});
}

void WorkerPool::drain(std::chrono::milliseconds limit, base::Callback<void(std::size_t)> on_done) {
  assert(!on_drained_);
  on_drained_ = std::move(on_done);
  drain_limit_ = limit;
  still_accepting_ = still_draining_ = workers_.size();
  for (const auto& worker : workers_) worker->send(StopAccepting{});
}

std::size_t WorkerPool::sessions() const {
  std::size_t sum = 0;
  for (const auto& worker : workers_) sum += worker->load();
  return sum;
}

std::shared_ptr<const StreamCounters> WorkerPool::counters(std::uint16_t port) const {
  const auto found = active_.find(port);
  return found == active_.end() ? nullptr : found->second.counters;
}

// Only now the drain: a session that the home worker gave to another one before it closed is in
// that one's mailbox ahead of it.
void WorkerPool::handle(const ListenerClosed& event) {
  auto closing = closing_.extract(event.stream_id);
  assert(!closing.empty());
  admission_.remove_listener();
  for (const auto& worker : workers_)
    worker->send(DrainStream{event.stream_id, closing.mapped().drain});
  closing.mapped().on_free();
}

void WorkerPool::handle(const BackendNote& event) {
  for (const auto& [port, active] : active_) {
    if (active.id != event.stream_id) continue;
    // Two workers may tell it in another order than it happened: the flag has the last word.
    if (event.trouble.empty() == active.counters->backend_trouble.load()) return;
    on_backend_note_(port, event.trouble);
    return;
  }
}

// Only when none accepts any more: a session that one has given to another is in that one's mailbox
// ahead of this, and so nobody who is told to drain gets more.
void WorkerPool::handle(const AcceptingStopped&) {
  if (--still_accepting_ > 0) return;
  for (const auto& worker : workers_) worker->send(DrainAll{drain_limit_});
}

void WorkerPool::handle(const Drained& event) {
  cut_ += event.cut;
  if (--still_draining_ > 0) return;
  auto done = std::move(on_drained_);
  done(cut_);
}

}  // namespace sc::relay
