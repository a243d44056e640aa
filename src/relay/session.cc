#include "relay/session.h"

#include <cassert>
#include <utility>

#include "base/kill_point.h"
#include "base/log.h"

namespace sc::relay {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

core::EndReason to_reason(net::DialFailure failure) {
  switch (failure) {
    case net::DialFailure::unresolved:
      return core::EndReason::backend_unresolved;
    case net::DialFailure::refused:
      return core::EndReason::backend_refused;
    case net::DialFailure::timeout:
      return core::EndReason::backend_timeout;
    case net::DialFailure::exhausted:
      return core::EndReason::limit;
    case net::DialFailure::denied:
      return core::EndReason::denied;
  }
  return core::EndReason::internal;
}

}  // namespace

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

Session::Session(loop::Loop& loop, StreamContext stream, net::Accepted client,
                 const SessionOptions& options, const Pump::Resources& resources,
                 handoff::Keeper* keeper, OnDialed on_dialed, OnEnd on_end)
    : loop_(loop),
      stream_(std::move(stream)),
      peer_(client.peer),
      client_(std::move(client.fd)),
      options_(options),
      resources_(resources),
      keeper_(stream_.spec->durable == core::Durability::off ? nullptr : keeper),
      started_at_(loop.now()),
      is_due_(options.durable_after.count() == 0),
      on_dialed_(std::move(on_dialed)),
      on_end_(std::move(on_end)) {
  if (keeper_ != nullptr && stream_.spec->durable == core::Durability::early)
    record_ = handoff::SessionRecord::make(*keeper_, facts(), client_.get(), -1);
  stream_.counters->sessions_total.fetch_add(1, kRelaxed);
  stream_.counters->sessions_active.fetch_add(1, kRelaxed);
  start_dialing();
}

Session::Session(loop::Loop& loop, StreamContext stream, handoff::KeptSession kept,
                 const SessionOptions& options, const Pump::Resources& resources,
                 handoff::Keeper* keeper, OnDialed on_dialed, OnEnd on_end)
    : loop_(loop),
      stream_(std::move(stream)),
      peer_(kept.record->facts().peer),
      options_(options),
      resources_(resources),
      keeper_(keeper),
      started_at_(kept.record->facts().started_at),
      on_dialed_(std::move(on_dialed)),
      on_end_(std::move(on_end)) {
  StreamCounters& counters = *stream_.counters;
  counters.sessions_total.fetch_add(1, kRelaxed);
  counters.sessions_active.fetch_add(1, kRelaxed);
  if (!kept.backend) {
    client_ = std::move(kept.client);
    record_ = std::move(kept.record);
    start_dialing();
    return;
  }
  counters.bytes_in.fetch_add(kept.record->facts().bytes_in, kRelaxed);
  counters.bytes_out.fetch_add(kept.record->facts().bytes_out, kRelaxed);
  state_ = State::relaying;
  try {
    relay_ = std::make_unique<Relay>(loop_, std::move(kept), resources_,
                                     stream_.spec->idle_timeout.value_or(options_.idle_timeout),
                                     counters, [this](const RelayEnd& how) { end(how, {}); });
  } catch (...) {
    counters.sessions_active.fetch_sub(1, kRelaxed);  // no destructor will
    throw;
  }
}

void Session::start_dialing() {
  dialer_ = std::make_unique<net::Dialer>(
      loop_, stream_.spec->backend,
      net::DialOptions{stream_.spec->connect_timeout.value_or(options_.connect_timeout),
                       options_.denied_ports},
      [this](net::Dialer::Outcome outcome) { on_outcome(std::move(outcome)); });
}

handoff::SessionFacts Session::facts() const {
  handoff::SessionFacts facts;
  facts.port = stream_.spec->port;
  facts.stream_created_at = stream_.spec->created_at;
  facts.started_at = facts.last_byte_at = started_at_.count();
  facts.peer = peer_;
  return facts;
}

Session::~Session() { stream_.counters->sessions_active.fetch_sub(1, kRelaxed); }

void Session::on_outcome(net::Dialer::Outcome outcome) {
  assert(state_ == State::dialing);
  dialer_.reset();
  auto told = std::exchange(on_dialed_, {});
  if (!outcome.dialed) {
    // Out of descriptors says nothing of the backend.
    if (outcome.error.failure != net::DialFailure::exhausted) told(outcome.error.message);
    end(RelayEnd{to_reason(outcome.error.failure), 0, 0, 0}, outcome.error.message);
    return;
  }
  state_ = State::relaying;
  SC_KILL_POINT("dialed");
  // Before a byte is moved.
  const bool was_kept = record_ != nullptr;
  if (record_ && !record_->add_backend(client_.get(), outcome.dialed->fd.get())) record_.reset();
  SC_KILL_POINT("backend_added");
  try {
    relay_ =
        std::make_unique<Relay>(loop_, std::move(client_), std::move(*outcome.dialed), resources_,
                                stream_.spec->idle_timeout.value_or(options_.idle_timeout),
                                *stream_.counters, [this](const RelayEnd& how) { end(how, {}); });
    if (was_kept) relay_->expect_copies();
    if (record_) {
      relay_->keep(std::move(record_));
    } else if (is_due_) {
      keep();
    }
  } catch (const std::exception& failure) {
    record_.reset();
    told({});
    end(RelayEnd{core::EndReason::internal, 0, 0, 0}, failure.what());
    return;
  }
  if (keeps_alive_) relay_->keep_alive(options_.keepalive);
  told({});
}

void Session::keep_alive() {
  keeps_alive_ = true;
  if (relay_) relay_->keep_alive(options_.keepalive);
}

bool Session::keep() {
  is_due_ = true;
  if (keeper_ != nullptr && relay_ && !relay_->is_kept()) relay_->keep(*keeper_, facts());
  return relay_ && relay_->is_kept();
}

bool Session::keep_at_last() {
  keep();
  if (keeper_ != nullptr && state_ == State::dialing && !record_)
    record_ = handoff::SessionRecord::make(*keeper_, facts(), client_.get(), -1);
  return (record_ && record_->is_held()) || (relay_ && relay_->is_kept());
}

void Session::cut(core::EndReason reason) {
  if (state_ == State::relaying) {
    relay_->cut(reason);
  } else if (state_ == State::dialing) {
    dialer_.reset();
    end(RelayEnd{reason, 0, 0, 0}, {});
  }
}

void Session::end(const RelayEnd& how, const std::string& detail) {
  assert(state_ != State::ended);
  state_ = State::ended;
  // A client whose backend was never reached is told by a reset: an orderly end would read as an
  // empty reply.
  if (client_) record_ ? net::end_connection(client_.get()) : net::reset_on_close(client_.get());
  record_.reset();
  if (base::log::enabled(base::log::Level::debug)) {
    base::log::debug(
        "session ended",
        {{"port", std::to_string(stream_.spec->port)},
         {"reason", std::string(core::to_string(how.reason))},
         {"client", peer_.to_string()},
         {"backend", base::to_string(stream_.spec->backend)},
         {"bytes_in", std::to_string(how.bytes_in)},
         {"bytes_out", std::to_string(how.bytes_out)},
         {"ms", std::to_string((loop_.now() - started_at_).count())},
         {"detail", how.error != 0 ? base::describe_errno("errno", how.error) : detail}});
  }
  auto done = std::move(on_end_);  // done may destroy this: touch nothing after
  done(how.reason);
}

}  // namespace sc::relay
