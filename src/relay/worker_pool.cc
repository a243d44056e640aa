#include "relay/worker_pool.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <utility>

#include "base/log.h"
#include "net/port_owner.h"
#include "net/resolver/hosts_file.h"
#include "net/socket.h"

namespace sc::relay {
namespace {

constexpr std::chrono::milliseconds kShutdownPatience{3000};

base::Result<base::Fd> listen_everywhere(std::uint16_t port, const net::ListenOptions& options) {
  auto both = net::listen_tcp(net::Address::any_v6(port), options);
  // A host without IPv6 is unavailable (EAFNOSUPPORT) or invalid (EADDRNOTAVAIL); a port that is
  // taken, or needs a privilege, would be so with IPv4 alone as well.
  if (both ||
      (both.error().code != base::Errc::unavailable && both.error().code != base::Errc::invalid))
    return both;
  return net::listen_tcp(net::Address::any_v4(port), options);
}

sa_family_t family_of(const core::Backend& backend) {
  const auto address = net::Address::parse_ip(backend.host, backend.port);
  return address ? address->raw()->sa_family : sa_family_t{AF_UNSPEC};
}

// Those that were accepted first come first, within a millisecond those that were kept first.
std::vector<handoff::KeptSession> in_order(std::vector<handoff::KeptSession> sessions) {
  const auto place = [](const handoff::KeptSession& session) {
    const handoff::SessionSlot& slot = session.record->slot();
    return std::pair(slot.started_at, slot.generation.load());
  };
  std::sort(sessions.begin(), sessions.end(),
            [&](const auto& one, const auto& other) { return place(one) < place(other); });
  return sessions;
}

}  // namespace

WorkerPool::WorkerPool(loop::Loop& control, const WorkerPoolOptions& options,
                       OnBackendNote on_backend_note)
    : control_(control),
      local_(control),
      options_(options),
      on_backend_note_(std::move(on_backend_note)),
      copies_due_(control, [this] { on_copies_due(); }),
      homes_(workers_, [this](std::uint64_t stream_id, int fd) { on_moved(stream_id, fd); }),
      shutdown_(workers_, options.vault, kAnswersTick),
      answers_due_(control, [this] { on_answers_due(); }),
      admission_(options.limits,
                 [this] {
                   if (is_shut_down_.load(std::memory_order_relaxed)) return;
                   for (const auto& worker : workers_) worker->send(LookForRoom{});
                 }),
      resolver_(options.resolver, clock_,
                [this](std::string trouble) { inbox_.send(ResolverTrouble{std::move(trouble)}); }),
      names_(control, resolver_),
      inbox_(control, [this](WorkerEvent event) {
        std::visit(
            [this](auto& each) {
              if constexpr (requires { inquiries_.handle(std::move(each)); })
                inquiries_.handle(std::move(each));
              else if constexpr (requires { shutdown_.handle(each); })
                shutdown_.handle(each);
              else if constexpr (requires { homes_.handle(each); })
                homes_.handle(each);
              else
                handle(each);
            },
            event);
      }) {
  options_.session.paths = &paths_;
  options_.session.budget = &admission_;
  set_logged_sessions(options_.logged_sessions);
  assert(options_.workers > 0 && options_.workers <= Worker::kMost);
  // Microseconds, which no process gets ahead of by counting sessions: ids of a later one are
  // higher. Clock has milliseconds, within which one may have come and gone.
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  common_.last_session =
      static_cast<core::SessionId>(std::chrono::floor<std::chrono::microseconds>(now).count());
  for (std::size_t i = 0; i < options_.workers; ++i)
    workers_.push_back(
        std::make_unique<Worker>(i, options_.session, common_, options_.vault, workers_,
                                 [this](WorkerEvent event) { inbox_.send(std::move(event)); }));
  try {
    for (const auto& worker : workers_) worker->start();
  } catch (...) {
    shutdown();  // those that run; they would never end by themselves
    throw;
  }
}

WorkerPool::~WorkerPool() { shutdown(); }

std::vector<std::string> WorkerPool::shutdown() {
  // A destroyed worker returns its pipes. This makes room, and the other workers must not be woken.
  is_shut_down_.store(true, std::memory_order_relaxed);
  checks_.clear();
  for (const auto& worker : workers_) worker->send(Shutdown{});
  std::vector<std::string> silent;
  const auto until = std::chrono::steady_clock::now() + kShutdownPatience;
  for (std::size_t i = 0; i < workers_.size(); ++i) {  // all, before one of them is destroyed
    const auto rest =
        std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    if (!workers_[i]->join(std::max(rest, std::chrono::milliseconds{0})))
      silent.push_back(Worker::name_of(i));
  }
  if (!resolver_.stop(kShutdownPatience)) silent.emplace_back(net::Resolver::kThreadName);
  return silent;
}

base::Result<base::Fd> WorkerPool::prepare(const core::StreamSpec& spec) {
  if (auto kept = take_kept_listener(spec)) return std::move(*kept);
  if (!admission_.has_descriptors(1))
    return base::Error{base::Errc::unavailable,
                       "port " + std::to_string(spec.port) +
                           ": the service has as many descriptors open as its limit allows"};
  return listen(spec);
}

base::Result<base::Fd> WorkerPool::listen(const core::StreamSpec& spec) {
  const net::ListenOptions listen{options_.session.keepalive};
  std::optional<net::Address> address = options_.listen_address;
  if (!spec.listen_address.empty()) {
    auto own = net::Address::parse_ip(spec.listen_address, 0);
    if (!own) return own.error();
    address = *own;
  }
  if (!address) return listen_everywhere(spec.port, listen);
  address->set_port(spec.port);
  auto listener = net::listen_tcp(*address, listen);
  // The setting's fault is not that of whoever asks for a stream.
  if (!listener && listener.error().code == base::Errc::invalid && spec.listen_address.empty())
    return base::Error{base::Errc::unavailable, listener.error().message};
  return listener;
}

base::Result<void> WorkerPool::check_address(const std::string& ip) const {
  const auto address = net::Address::parse_ip(ip, 0);
  // Its zone is no interface of this host.
  if (!address)
    return base::Error{base::Errc::invalid, "cannot be used: " + address.error().message};
  return net::check_own_address(*address);
}

bool WorkerPool::has_room(std::size_t listeners) const {
  return admission_.has_descriptors(listeners);
}

bool WorkerPool::takes(const core::StreamSpec& stream, const core::Backend& backend) const {
  if (backend.port != stream.port) return false;
  const net::Address listens = wanted_address(stream);
  // Never resolves to other addresses than these two, of which one may be another program's.
  if (net::is_localhost(backend.host))
    return net::takes(listens, *net::Address::parse_ip("127.0.0.1", backend.port)) &&
           net::takes(listens, *net::Address::parse_ip("::1", backend.port));
  const auto to = net::Address::parse_ip(backend.host, backend.port);
  return to && local_.contains(*to) && net::takes(listens, *to);
}

std::string WorkerPool::owner_of(const core::StreamSpec& spec) const {
  return net::describe_occupant(wanted_address(spec));
}

WorkerPool::Active& WorkerPool::find_or_add(std::uint16_t port) {
  const auto known = active_.find(port);
  if (known != active_.end()) return known->second;
  past_.open(port);
  Active fresh;
  fresh.id = next_id_++;
  fresh.counters = std::make_shared<StreamCounters>();
  fresh.is_released = true;
  return active_.emplace(port, std::move(fresh)).first->second;
}

void WorkerPool::activate(base::Fd listener, const core::Stream& stream) {
  Active& active = find_or_add(stream.spec.port);
  assert(active.is_released);
  active.is_released = false;
  set_spec(active, stream.spec, stream.created_at);
  if (options_.vault != nullptr && accepts_) active.kept = keep_listener(listener.get());
  if (options_.vault != nullptr && options_.vault->listener_keeper().take_missed())
    are_missed_ = true;
  admission_.add_listener();
  paths_.add_listener(net::local_address(listener.get()));
  homes_.open({active.id, active.spec, active.counters}, std::move(listener));
  wait_for_answers();
}

void WorkerPool::when_accepting(std::uint16_t port,
                                base::Callback<void(base::Result<void>)> on_done) {
  homes_.when_accepting(active_.at(port).id, std::move(on_done));
}

void WorkerPool::set_spec(Active& active, const core::StreamSpec& spec, base::WallTime created_at) {
  // What was told of the former backend is not this one's.
  if (active.spec && active.spec->backend != spec.backend)
    active.counters->reach.store(core::Reach::reached);
  active.counters->max_sessions.store(spec.max_sessions);
  active.created_at = created_at;
  active.spec = std::make_shared<const SessionSpec>(
      SessionSpec{spec.port, spec.backend, spec.connect_timeout, spec.idle_timeout, spec.durable,
                  family_of(spec.backend), created_at.time_since_epoch().count(), spec.lifetime,
                  resolver_.name(spec.backend.host)});
  if (active.spec->name) resolver_.look_ahead(active.spec->name);
}

void WorkerPool::change(const core::StreamSpec& spec) {
  Active& active = active_.at(spec.port);
  set_spec(active, spec, active.created_at);
  homes_.change(active.id, active.spec);
}

void WorkerPool::pause(std::uint16_t port) { homes_.pause(active_.at(port).id); }

void WorkerPool::resume(std::uint16_t port) { homes_.resume(active_.at(port).id); }

void WorkerPool::close(std::uint16_t port, std::chrono::milliseconds drain,
                       base::Callback<void()> on_free) {
  const auto found = active_.find(port);
  if (found == active_.end()) {  // it never opened, and has no sessions of a former process
    on_free();
    return;
  }
  Active active = std::move(found->second);
  active_.erase(found);
  active.kept.reset();  // before the worker closes what it names
  past_.close(port, active.counters);
  closing_.emplace(active.id,
                   Closing{drain, !active.is_released, std::move(on_free), port, active.counters});
  homes_.close(active.id, [this, id = active.id] { on_closed(id); });
  wait_for_answers();
}

void WorkerPool::release(std::uint16_t port, base::Callback<void()> on_free) {
  Active& active = active_.at(port);
  assert(!active.is_released);
  active.is_released = true;
  active.kept.reset();
  closing_.emplace(active.id,
                   Closing{std::nullopt, true, std::move(on_free), port, active.counters});
  homes_.close(active.id, [this, id = active.id] { on_closed(id); });
  wait_for_answers();
}

void WorkerPool::restore(std::uint16_t port, const core::Traffic& carried) {
  past_.restore(port, carried);
}

void WorkerPool::forget(std::uint16_t port) { past_.forget(port, active_.contains(port)); }

void WorkerPool::sum_up_gone() { past_.sum_up_gone(); }

core::Traffic WorkerPool::traffic(std::uint16_t port) const {
  core::Traffic sum = past_.traffic(port);
  if (const auto now = counters(port)) sum += traffic_of(*now);
  return sum;
}

core::Traffic WorkerPool::restored(std::uint16_t port) const {
  core::Traffic sum = past_.restored(port);
  if (const auto now = counters(port)) sum += inherited_of(*now);
  return sum;
}

void WorkerPool::sessions(const core::SessionQuery& query,
                          base::Callback<void(core::SessionPage)> on_done) {
  inquiries_.list(query, std::move(on_done));
  wait_for_answers();
}

void WorkerPool::session(
    core::SessionId id,
    base::Callback<void(base::Result<std::optional<core::SessionDetails>>)> on_done) {
  inquiries_.look_up(id, std::move(on_done));
  wait_for_answers();
}

void WorkerPool::kill(
    core::SessionId id,
    base::Callback<void(base::Result<std::optional<core::EndedSession>>)> on_done) {
  inquiries_.kill(id, std::move(on_done));
  wait_for_answers();
}

core::Failures WorkerPool::failures(std::uint16_t port) const {
  return past_.failures(port, counters(port).get());
}

std::optional<core::Resolution> WorkerPool::resolution(const core::Backend& backend) {
  const auto name = resolver_.name(backend.host);
  if (!name) return std::nullopt;
  return to_resolution(*name, clock_);
}

void WorkerPool::watch(Watch what) { common_.records.feed.watch(what); }

core::SessionNews WorkerPool::take_news() { return common_.records.feed.take(); }

void WorkerPool::check(const core::StreamSpec& spec,
                       base::Callback<void(core::CheckReport)> on_done) {
  const std::uint64_t number = next_check_++;
  net::DialOptions options{
      .timeout = spec.connect_timeout.value_or(options_.session.connect_timeout),
      .denied_ports = options_.session.denied_ports,
      .traces_all = true,
      .paths = &paths_,
      .origin = {spec.port, nullptr},
      .budget = &admission_,
      .resolver = &names_,
      .shares_port = options_.session.shares_ports,
      .name = resolver_.name(spec.backend.host)};
  checks_.emplace(number, std::make_unique<BackendCheck>(control_, spec.backend, options,
                                                         [this, number, done = std::move(on_done)](
                                                             core::CheckReport report) mutable {
                                                           checks_.erase(number);
                                                           done(std::move(report));
                                                         }));
}

SessionLatencies WorkerPool::latencies() const {
  SessionLatencies sum = Latencies::none();
  for (const auto& worker : workers_) worker->latencies().add_to(sum);
  return sum;
}

void WorkerPool::drain(std::chrono::milliseconds limit, base::Callback<void(std::size_t)> on_done) {
  accepts_ = false;
  for (auto& [port, active] : active_) active.kept.reset();
  shutdown_.drain(limit, std::move(on_done));
  wait_for_answers();
}

void WorkerPool::inherit(const core::StoredStreams& stored, const base::Clock& clock) {
  if (options_.vault == nullptr) return;
  const base::WallTime now = clock.wall();
  const SavedSessions saved(stored.traffic, clock);
  std::map<std::uint16_t, const core::Stream*> by_port;
  for (const core::Stream& stream : stored.streams)
    if (stream.spec.enabled && !(stream.spec.expires_at && *stream.spec.expires_at <= now))
      by_port.emplace(stream.spec.port, &stream);
  expect_listeners(by_port);
  std::size_t ended = 0;
  for (handoff::KeptSession& session : in_order(options_.vault->take_sessions())) {
    const handoff::SessionFacts facts = session.record->facts();
    Worker& worker = *workers_[session.keeper];
    const auto found = by_port.find(facts.port);
    if (found == by_port.end() ||
        found->second->created_at.time_since_epoch().count() != facts.stream_created_at) {
      ++ended;
      worker.send(EndKeptSession{worker.new_id(), std::move(session)});
      continue;
    }
    Active& active = find_or_add(facts.port);
    if (!active.spec) set_spec(active, found->second->spec, found->second->created_at);
    if (!saved.has(facts)) {
      active.counters->sessions_total.fetch_add(1);
      active.counters->bytes_in.fetch_add(facts.bytes_in);
      active.counters->bytes_out.fetch_add(facts.bytes_out);
      active.counters->sessions_inherited += 1;
      active.counters->bytes_in_inherited += facts.bytes_in;
      active.counters->bytes_out_inherited += facts.bytes_out;
    }
    // From now on, so that nobody takes a stream that is closed before for one that has ended.
    admission_.add_session(*active.counters);
    worker.send(ResumeSession{
        worker.new_id(), {active.id, active.spec, active.counters}, std::move(session)});
  }
  if (ended > 0)
    base::log::info("sessions end with their streams, which were removed or disabled meanwhile",
                    {{"sessions", std::to_string(ended)},
                     {"reason", std::string(to_string(core::EndReason::drained))}});
}

// Sessions that go on announce what they have dialled, see Session. The listeners that these
// connections wait for are opened later.
void WorkerPool::expect_listeners(const std::map<std::uint16_t, const core::Stream*>& by_port) {
  for (const auto& [port, stream] : by_port) {
    paths_.add_listener(wanted_address(stream->spec));
    expected_.push_back(port);
  }
}

void WorkerPool::settle() {
  adopted_.reset();
  for (const std::uint16_t port : std::exchange(expected_, {}))
    if (const auto found = active_.find(port); found == active_.end() || found->second.is_released)
      paths_.remove_listener(port);
  if (options_.vault != nullptr) options_.vault->end_listeners();
}

// Of several, which a change of address that was interrupted leaves, at most one is where the
// stream is to listen.
std::optional<base::Fd> WorkerPool::take_kept_listener(const core::StreamSpec& spec) {
  adopted_ = {};
  if (options_.vault == nullptr || spec.port == 0) return std::nullopt;
  std::optional<base::Fd> taken;
  for (handoff::KeptListener& each : options_.vault->take_listeners(spec.port)) {
    if (!taken && is_wanted(spec, net::local_address(each.fd.get()))) {
      net::set_keepalive(each.fd.get(), options_.session.keepalive);
      adopted_fd_ = each.fd.get();
      adopted_ = std::move(each.kept);
      taken = std::move(each.fd);
    } else {
      net::stop_listening(each.fd.get());
    }
  }
  return taken;
}

bool WorkerPool::is_wanted(const core::StreamSpec& spec, const net::Address& address) const {
  if (address == wanted_address(spec)) return true;
  return spec.listen_address.empty() && !options_.listen_address &&
         address == net::Address::any_v4(spec.port);
}

// Where a stream is to listen; everywhere is the IPv6 wildcard, which takes IPv4 too.
net::Address WorkerPool::wanted_address(const core::StreamSpec& spec) const {
  net::Address wanted = options_.listen_address.value_or(net::Address::any_v6(0));
  if (!spec.listen_address.empty())
    if (auto own = net::Address::parse_ip(spec.listen_address, 0)) wanted = *own;
  wanted.set_port(spec.port);
  return wanted;
}

std::unique_ptr<handoff::Kept> WorkerPool::keep_listener(int fd) {
  auto adopted = std::move(adopted_);
  if (adopted && adopted_fd_ == fd) return adopted;
  const std::array<int, 1> fds{fd};
  return options_.vault->listener_keeper().keep(
      handoff::Record{0, handoff::RecordKind::listener,
                      static_cast<std::uint8_t>(handoff::kVersion), 0, 0},
      fds);
}

void WorkerPool::hand_over(base::Callback<void(HandOverReport)> on_done) {
  accepts_ = false;
  shutdown_.hand_over(std::move(on_done));
  wait_for_answers();
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
void WorkerPool::on_closed(std::uint64_t stream_id) {
  auto closing = closing_.extract(stream_id);
  assert(!closing.empty());
  const Closing& closed = closing.mapped();
  if (closed.had_listener) {
    admission_.remove_listener();
    paths_.remove_listener(closed.port);
  }
  if (closed.drain) {
    const auto until = control_.now() + *closed.drain;
    closed.counters->drained_at.store(until.count(), std::memory_order_relaxed);
    for (const auto& worker : workers_) worker->send(DrainStream{stream_id, *closed.drain});
    // Every session that was accepted has its place already.
    past_.sum_up(closed.port);
  }
  if (options_.vault == nullptr) {
    closing.mapped().on_free();
    return;
  }
  freed_.push_back(std::move(closing.mapped().on_free));
  if (!copies_due_.is_active()) copies_due_.start(std::chrono::milliseconds{0});
}

void WorkerPool::on_copies_due() {
  options_.vault->listener_keeper().flush();
  for (auto& on_free : std::exchange(freed_, {})) on_free();
}

void WorkerPool::handle(const BackendNote& event) {
  for (const auto& [port, active] : active_) {
    if (active.id != event.stream_id) continue;
    // Notes of two workers may arrive in another order than they were made: the counter decides.
    if (event.reach != active.counters->reach.load()) return;
    on_backend_note_(port, event.reach, event.trouble);
    return;
  }
}

}  // namespace sc::relay
