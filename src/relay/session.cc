#include "relay/session.h"

#include <algorithm>
#include <cassert>
#include <optional>
#include <utility>

#include "base/kill_point.h"
#include "net/lost_way.h"
#include "net/tcp_facts.h"

namespace sc::relay {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

std::optional<core::SocketFacts> socket_facts(int fd) {
  const auto known = net::tcp_facts(fd);
  if (!known) return std::nullopt;
  return core::SocketFacts{known->local.to_string(),
                           std::string(known->state),
                           known->rtt,
                           known->rttvar,
                           known->retransmits,
                           known->lost,
                           known->congestion_window,
                           known->mss,
                           known->unread,
                           known->unsent,
                           known->unacknowledged};
}

}  // namespace

// The clock that both processes share counts from the boot.
SessionTimes times_of_kept(const handoff::SessionFacts& facts) {
  SessionTimes times;
  times.accepted = base::Instant(std::chrono::milliseconds(facts.started_at));
  const auto age = times.since_accepted(std::chrono::steady_clock::now());
  times.accepted_wall =
      base::SystemClock().wall() - std::chrono::floor<std::chrono::milliseconds>(age);
  return times;
}

std::string_view to_string(Session::State state) {
  switch (state) {
    case Session::State::dialing:
      return "dialing";
    case Session::State::relaying:
      return "relaying";
    case Session::State::ended:
      return "ended";
  }
  return "?";
}

Session::Session(loop::Loop& loop, core::SessionId id, StreamContext stream, NewClient client,
                 const SessionOptions& options, const Pump::Resources& resources,
                 handoff::Keeper* keeper, OnDialed on_dialed, OnEnd on_end)
    : loop_(loop),
      id_(id),
      stream_(std::move(stream)),
      peer_(client.accepted.peer),
      client_(std::move(client.accepted.fd)),
      options_(options),
      resources_(resources),
      keeper_(stream_.spec->durable == core::Durability::off ? nullptr : keeper),
      times_{client.accepted.at, base::SystemClock().wall()},
      is_due_(options.durable_after.count() == 0),
      is_counted_(client.was_refused),
      on_dialed_(std::move(on_dialed)),
      on_end_(std::move(on_end)),
      record_(std::move(client.record)),
      via_(std::move(client.via)),
      activity_(*stream_.counters) {
  stream_.counters->sessions_total.fetch_add(1, kRelaxed);
  start();
  start_dialing(std::move(client.backend));
}

Session::Session(loop::Loop& loop, core::SessionId id, StreamContext stream,
                 handoff::KeptSession kept, const SessionOptions& options,
                 const Pump::Resources& resources, handoff::Keeper* keeper, OnDialed on_dialed,
                 OnEnd on_end)
    : loop_(loop),
      id_(id),
      stream_(std::move(stream)),
      peer_(kept.record->facts().peer),
      options_(options),
      resources_(resources),
      keeper_(keeper),
      times_(times_of_kept(kept.record->facts())),
      on_dialed_(std::move(on_dialed)),
      on_end_(std::move(on_end)),
      activity_(*stream_.counters) {
  start();
  if (!kept.backend) {
    client_ = std::move(kept.client);
    record_ = std::move(kept.record);
    start_dialing();
    return;
  }
  if (options_.shares_ports) net::share_port(kept.backend.get());  // dialled by another process
  const net::Address reached = net::peer_address(kept.backend.get());
  address_ = net::PackedAddress(reached);
  auto own = announce_backend(kept.backend.get(), reached);
  state_ = State::relaying;
  relay_ = std::make_unique<Relay>(loop_, std::move(kept), std::move(own), resources_,
                                   stream_.spec->idle_timeout.value_or(options_.idle_timeout),
                                   *stream_.counters,
                                   [this](const RelayEnd& how) { end(how, how.ring); });
}

Session::Activity::Activity(StreamCounters& counters) : counters_(counters) {
  counters_.sessions_active.fetch_add(1, kRelaxed);
}

Session::Activity::~Activity() { counters_.sessions_active.fetch_sub(1, kRelaxed); }

void Session::start() {
  const std::chrono::milliseconds lifetime = stream_.spec->lifetime.value_or(options_.lifetime);
  if (lifetime.count() == 0) return;
  lifetime_due_ = std::make_unique<loop::Timer>(loop_, [this] { cut(core::EndReason::lifetime); });
  // The loop's clock counts whole milliseconds, and may be one behind.
  constexpr std::chrono::milliseconds kLate{1};
  lifetime_due_->start(std::chrono::ceil<std::chrono::milliseconds>(lifetime - age()) + kLate);
}

void Session::start_dialing(base::Fd socket) {
  dialer_ = std::make_unique<net::Dialer>(
      loop_, stream_.spec->backend,
      net::DialOptions{.timeout = stream_.spec->connect_timeout.value_or(options_.connect_timeout),
                       .denied_ports = options_.denied_ports,
                       .paths = options_.paths,
                       .origin = {stream_.spec->port, via_},
                       .budget = options_.budget,
                       .resolver = options_.resolver,
                       .shares_port = options_.shares_ports,
                       .name = stream_.spec->name},
      [this](net::Dialer::Outcome outcome) { on_outcome(std::move(outcome)); }, std::move(socket));
}

// A connection that a former process dialled may wait in the backlog of one of our listeners still.
// What its client had passed before this stream is not known any more.
net::OwnPaths::Announced Session::announce_backend(int fd, const net::Address& address) const {
  if (options_.paths == nullptr || !options_.paths->may_be_own(address)) return {};
  net::OwnPaths::Dialing dialing(*options_.paths, address);
  return dialing.announce({stream_.spec->port, nullptr}, fd);
}

handoff::SessionFacts Session::facts() const {
  handoff::SessionFacts facts = facts_of_new(*stream_.spec, times_.accepted, peer_.address());
  facts.is_counted = is_counted_;
  return facts;
}

void Session::on_outcome(net::Dialer::Outcome outcome) {
  assert(state_ == State::dialing);
  dialer_.reset();
  auto told = std::exchange(on_dialed_, {});
  const auto phase =
      outcome.trace.is_resolving ? core::SessionPhase::resolve : core::SessionPhase::connect;
  remember(std::move(outcome.trace));
  if (!outcome.dialed) {
    const core::EndReason reason = reason_of(outcome.error.failure);
    if (reason != core::EndReason::internal)
      told(reason == core::EndReason::host ? core::Reach::host : core::Reach::backend,
           outcome.error.message);
    end(RelayEnd{reason, outcome.error.error, 0, 0, phase}, std::move(outcome.error.cause));
    return;
  }
  state_ = State::relaying;
  times_.connected = times_.mark(std::chrono::steady_clock::now());
  address_ = net::PackedAddress(outcome.dialed->address);
  SC_KILL_POINT("dialed");
  // Before a byte is moved.
  const bool was_kept = record_ != nullptr;
  if (record_ && !keep_backend(*outcome.dialed)) {
    record_.reset();
    is_counted_ = true;
  }
  SC_KILL_POINT("backend_added");
  try {
    relay_ = std::make_unique<Relay>(
        loop_, std::move(client_), std::move(*outcome.dialed), resources_,
        stream_.spec->idle_timeout.value_or(options_.idle_timeout), *stream_.counters,
        [this](const RelayEnd& how) { end(how, how.ring); });
    relay_->set_via(std::move(via_));
    if (was_kept) relay_->expect_copies();
    if (record_) {
      relay_->keep(std::move(record_));
    } else if (is_due_) {
      keep();
    }
  } catch (const std::exception& failure) {
    record_.reset();
    told(core::Reach::reached, {});
    StartFailure why = start_failure(failure);
    end(RelayEnd{.reason = why.reason, .error = why.error}, std::move(why.detail));
    return;
  }
  if (keeps_alive_) relay_->keep_alive(options_.keepalive);
  told(core::Reach::reached, {});
}

bool Session::keep_backend(const net::Dialed& dialed) {
  return dialed.by_given ? record_->reach() : record_->add_backend(client_.get(), dialed.fd.get());
}

void Session::keep_alive() {
  keeps_alive_ = true;
  if (relay_) relay_->keep_alive(options_.keepalive);
}

bool Session::keep() {
  is_due_ = true;
  if (keeper_ != nullptr && relay_ && !relay_->is_kept()) {
    relay_->keep(*keeper_, facts());
    if (!relay_->is_kept()) is_counted_ = true;
  }
  return relay_ && relay_->is_kept();
}

bool Session::keep_at_last() {
  keep();
  if (keeper_ != nullptr && state_ == State::dialing && !record_)
    record_ = handoff::SessionRecord::make_client(*keeper_, facts(), client_.get());
  return is_kept();
}

bool Session::is_kept() const {
  return (record_ && record_->is_held()) || (relay_ && relay_->is_kept());
}

void Session::cut(core::EndReason reason) {
  if (state_ == State::relaying) {
    relay_->cut(reason);
  } else if (state_ == State::dialing) {
    net::DialTrace trace = dialer_->take_trace();
    dialer_.reset();
    const auto phase =
        trace.is_resolving ? core::SessionPhase::resolve : core::SessionPhase::connect;
    remember(std::move(trace));
    end(RelayEnd{reason, 0, 0, 0, phase}, {});
  }
}

void Session::remember(net::DialTrace trace) {
  if (trace.resolved_at) times_.resolved = times_.mark(*trace.resolved_at);
  if (trace.tried.empty()) return;
  trouble_ = std::make_unique<SessionTrouble>();
  trouble_->tried = std::move(trace.tried);
}

// The peer of a side whose interface, route or source address has gone from this host is silent,
// and it is not to blame.
void Session::blame_host(RelayEnd& how, std::string& detail) const {
  if (how.local.is_empty()) return;
  const net::PackedAddress& far = how.reason == core::EndReason::client_reset ? peer_ : address_;
  auto lost = net::lost_way(how.local.address(), far.address());
  if (!lost) return;
  how.reason = core::EndReason::host;
  how.error = lost->error;
  detail = std::move(lost->why);
}

// A client that waited longer for a byte than for a connection expected one.
bool Session::left_early(const RelayEnd& how) const {
  return how.left_at - times_.accepted.time_since_epoch() <=
         stream_.spec->connect_timeout.value_or(options_.connect_timeout);
}

std::chrono::microseconds Session::age() const {
  return times_.since_accepted(std::chrono::steady_clock::now());
}

core::RunningSession Session::running() const {
  using std::chrono::microseconds;
  using std::chrono::milliseconds;
  core::RunningSession told;
  told.id = id_;
  told.port = stream_.spec->port;
  told.client = peer_.to_string();
  told.backend = stream_.spec->backend;
  told.address = address_.to_string();
  told.accepted_at = times_.accepted_wall;
  told.idle = told.age = std::chrono::floor<milliseconds>(age());
  told.is_kept = is_kept();
  if (times_.connected != SessionTimes::kNever)
    told.connected_after = microseconds(times_.connected);
  if (state_ != State::relaying) return told;
  told.state = core::RunningSession::State::relaying;
  told.bytes_in = relay_->bytes_in();
  told.bytes_out = relay_->bytes_out();
  told.idle = std::max(loop_.now() - relay_->last_byte_at(), milliseconds(0));
  if (const auto first = relay_->first_byte_at())
    told.first_byte_after = times_.since_accepted(*first);
  return told;
}

core::SessionDetails Session::details() const {
  core::SessionDetails told;
  told.session = running();
  told.client = socket_facts(relay_ ? relay_->client_fd() : client_.get());
  if (relay_) told.backend = socket_facts(relay_->backend_fd());
  if (trouble_) told.tried = to_told(trouble_->tried);
  return told;
}

void Session::end(RelayEnd how, std::string detail) {
  assert(state_ != State::ended);
  state_ = State::ended;
  blame_host(how, detail);
  how.left_empty = how.left_empty && left_early(how);
  how.reason = judge(how);
  // The dial ran into a ring. A relay has marked its ring by itself, and has via_.
  if (how.reason == core::EndReason::loop && via_) via_->set_ring(detail);
  // A client whose backend was never reached is told by a reset: an orderly end would read as an
  // empty reply.
  if (client_) record_ ? net::end_connection(client_.get()) : net::reset_on_close(client_.get());
  record_.reset();
  lifetime_due_.reset();
  if (!detail.empty()) {
    if (!trouble_) trouble_ = std::make_unique<SessionTrouble>();
    trouble_->detail = std::move(detail);
  }
  if (relay_ && relay_->first_byte_at())
    times_.first_byte = times_.since_accepted(*relay_->first_byte_at()).count();
  SessionEnd told{id_,       stream_.spec, peer_, address_,     how.reason,    how.phase,
                  how.error, times_,       age(), how.bytes_in, how.bytes_out, std::move(trouble_)};
  auto done = std::move(on_end_);  // done may destroy this: touch nothing after
  done(std::move(told));
}

}  // namespace sc::relay
