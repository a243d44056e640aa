#include "core/conductor.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "core/same_host.h"

namespace sc::core {
namespace {

std::string port_text(std::uint16_t port) { return std::to_string(port); }

base::Error no_stream_at(std::uint16_t port) {
  return {base::Errc::not_found, "no stream has port " + port_text(port)};
}

}  // namespace

Conductor::Conductor(ConductorOptions options, StreamStore& store, DataPlane& plane,
                     const base::Clock& clock)
    : ledger_(std::move(options), store, plane, clock), waits_(clock) {}

void Conductor::boot(const StoredStreams& stored, base::Callback<void(BootReport)> on_done) {
  follower_.boot(stored, std::move(on_done));
}

void Conductor::reload(const Actor& actor,
                       base::Callback<void(base::Result<ReloadReport>)> on_done) {
  follower_.reload(actor, std::move(on_done));
}

base::Result<void> Conductor::admit() const {
  return ledger_.draining ? ledger_.ending() : waits_.admit();
}

template <class T>
void Conductor::at_port(std::uint16_t port, base::Callback<void(base::Result<T>)> on_done,
                        base::Callback<void(base::Callback<void(base::Result<T>)>)> work) {
  if (auto allowed = admit(); !allowed) return on_done(allowed.error());
  auto [wait, done] = waits_.add(std::move(on_done));
  ledger_.queue.enter(
      port, [this, port, wait = wait, done = std::move(done), work = std::move(work)]() mutable {
        if (!wait->begin()) return ledger_.queue.leave(port);
        work(std::move(done));
      });
}

void Conductor::create(const StreamSpec& spec, const Actor& actor,
                       base::Callback<void(base::Result<Stream>)> on_done) {
  at_port<Stream>(spec.port, std::move(on_done),
                  [this, spec, actor](auto done) { create_at_port(spec, actor, std::move(done)); });
}

void Conductor::create_at_port(StreamSpec spec, const Actor& actor,
                               base::Callback<void(base::Result<Stream>)> on_done) {
  const std::uint16_t port = spec.port;
  if (const Stream* present = ledger_.find(port)) {
    if (!is_same_backend(present->spec.backend, spec.backend)) {
      base::Error taken{base::Errc::conflict, "port " + port_text(port) + " has a stream to " +
                                                  base::to_string(present->spec.backend) +
                                                  " already"};
      ledger_.queue.leave(port);
      on_done(std::move(taken));
      return;
    }
    spec = present->spec;
    spec.enabled = true;
  }
  put_at_port(spec, actor, {}, {}, [done = std::move(on_done)](base::Result<Put> put) mutable {
    if (!put) {
      done(put.error());
    } else if (put->stream.state == StreamState::failed) {
      done(base::Error{base::Errc::in_use,
                       "the stream exists, but its port cannot be opened: " + put->stream.reason});
    } else {
      done(std::move(put->stream));
    }
  });
}

void Conductor::put(const StreamSpec& spec, const Actor& actor, StreamCheck check, OnPut on_done) {
  at_port<Put>(spec.port, std::move(on_done),
               [this, spec, actor, check = std::move(check)](auto done) {
                 put_at_port(spec, actor, check, {}, std::move(done));
               });
}

void Conductor::put_at_port(const StreamSpec& spec, const Actor& actor, const StreamCheck& check,
                            base::Fd listener, OnPut on_done) {
  const Stream* present = ledger_.find(spec.port);
  auto allowed = check_change(ledger_, spec, present);
  if (allowed && check) allowed = check(present);
  if (!allowed) {
    listener.reset();
    ledger_.queue.leave(spec.port);
    on_done(allowed.error());
    return;
  }
  Plan plan;
  plan.actor = actor;
  plan.steps.push_back(step_to(ledger_, spec, present, actor));
  plan.steps.front().listener = std::move(listener);
  plan.on_done = [is_new = present == nullptr,
                  done = std::move(on_done)](base::Result<std::vector<PlanStep>> steps) mutable {
    if (steps) {
      done(Put{std::move(*steps->front().after), is_new});
    } else {
      done(steps.error());
    }
  };
  runner_.run(std::move(plan));
}

void Conductor::put_anywhere(StreamSpec spec, const Actor& actor, const PortCheck& may_change,
                             OnPut on_done) {
  if (auto allowed = admit(); !allowed) return on_done(allowed.error());
  base::Error error = none_is_free(bool{may_change});
  for (auto port = candidate(0, may_change); port; port = candidate(*port + 1, may_change)) {
    spec.port = *port;
    // Before ports are tried: what is wrong with the rest.
    if (auto valid = check_change(ledger_, spec, nullptr); !valid) {
      if (valid.error().code == base::Errc::loop) continue;  // at another port it makes no ring
      error = valid.error();
      break;
    }
    auto listener = ledger_.plane.prepare(spec);
    if (listener) {
      // The port is not busy, so this runs now.
      auto [wait, done] = waits_.add(std::move(on_done));
      wait->begin();
      ledger_.queue.enter(*port, [&, held = std::move(done)]() mutable {
        put_at_port(spec, actor, {}, std::move(*listener), std::move(held));
      });
      return;
    }
    if (listener.error().code == base::Errc::in_use) continue;
    error = listener.error();
    // Another port of the range may be open to the service. The last such error is the answer where
    // none is: that every port is taken would not be true.
    if (error.code == base::Errc::forbidden || error.code == base::Errc::privilege) continue;
    if (error.code == base::Errc::invalid) error.field = "/listen_address";
    break;
  }
  on_done(std::move(error));
}

base::Result<void> Conductor::check(const StreamSpec& spec) const {
  return check_fields(ledger_, spec, ledger_.find(spec.port));
}

base::Result<void> Conductor::check(std::uint16_t port, const StreamPatch& patch) const {
  const Stream* present = ledger_.find(port);
  if (present == nullptr) return {};
  return check_fields(ledger_, patch.applied_to(present->spec), present);
}

void Conductor::patch(std::uint16_t port, const StreamPatch& patch, const Actor& actor,
                      StreamCheck check, base::Callback<void(base::Result<Stream>)> on_done) {
  at_port<Stream>(port, std::move(on_done),
                  [this, port, patch, actor, check = std::move(check)](auto done) {
                    patch_at_port(port, patch, actor, check, std::move(done));
                  });
}

void Conductor::patch_at_port(std::uint16_t port, const StreamPatch& patch, const Actor& actor,
                              const StreamCheck& check,
                              base::Callback<void(base::Result<Stream>)> on_done) {
  const Stream* present = ledger_.find(port);
  if (present == nullptr) {
    ledger_.queue.leave(port);
    on_done(no_stream_at(port));
    return;
  }
  put_at_port(patch.applied_to(present->spec), actor, check, {},
              [done = std::move(on_done)](base::Result<Put> put) mutable {
                if (put) {
                  done(std::move(put->stream));
                } else {
                  done(put.error());
                }
              });
}

void Conductor::remove(std::uint16_t port, const Actor& actor,
                       std::optional<std::chrono::milliseconds> drain, StreamCheck check,
                       base::Callback<void(base::Result<void>)> on_done) {
  at_port<void>(port, std::move(on_done),
                [this, port, actor, drain, check = std::move(check)](auto done) {
                  remove_at_port(port, actor, drain, check, std::move(done));
                });
}

void Conductor::remove_at_port(std::uint16_t port, const Actor& actor,
                               std::optional<std::chrono::milliseconds> drain,
                               const StreamCheck& check,
                               base::Callback<void(base::Result<void>)> on_done) {
  const Stream* present = ledger_.find(port);
  const bool is_row = present == nullptr && ledger_.unreadable.contains(port);
  base::Result<void> allowed =
      present != nullptr || is_row ? base::Result<void>{} : no_stream_at(port);
  if (allowed && check) allowed = check(present);
  if (!allowed) {
    ledger_.queue.leave(port);
    on_done(allowed.error());
    return;
  }
  if (is_row) return remove_row(port, actor, std::move(on_done));
  Plan plan;
  plan.actor = actor;
  plan.steps.push_back(step_away(ledger_, *present, EventAction::removed));
  if (drain) plan.steps.front().drain = *drain;
  plan.on_done =
      [done = std::move(on_done)](const base::Result<std::vector<PlanStep>>& steps) mutable {
        done(steps ? base::Result<void>{} : steps.error());
      };
  runner_.run(std::move(plan));
}

// A row that is no stream: nothing runs.
void Conductor::remove_row(std::uint16_t port, const Actor& actor,
                           base::Callback<void(base::Result<void>)> on_done) {
  Stream unknown;
  unknown.spec.port = port;
  AppendEvent removed = ledger_.event(EventAction::removed, unknown, actor);
  removed.event.backend_before.clear();
  removed.event.detail = "its row was no stream";
  ledger_.store.commit({EraseStream{port}, std::move(removed)},
                       [this, port, done = std::move(on_done)](base::Result<void> saved) mutable {
                         if (saved) ledger_.unreadable.erase(port);
                         ledger_.queue.leave(port);
                         done(std::move(saved));
                       });
}

void Conductor::apply(ApplyRequest request, const Actor& actor, OnApplied on_done) {
  if (auto allowed = admit(); !allowed) return on_done(allowed.error());
  auto [wait, done] = waits_.add(std::move(on_done));
  applier_.apply(begun_with(wait, std::move(request)), actor, std::move(done));
}

// Runs the request's check when all its ports are entered.
ApplyRequest Conductor::begun_with(const std::shared_ptr<Waits::Wait>& wait, ApplyRequest request) {
  request.check = [wait, check = std::move(request.check)]() -> base::Result<void> {
    if (!wait->begin()) return base::Error{base::Errc::unavailable, "its caller waits no longer"};
    return check ? check() : base::Result<void>{};
  };
  return request;
}

void Conductor::restore(base::WallTime as_of, ApplyRequest request, const Actor& actor,
                        OnApplied on_done) {
  if (auto allowed = admit(); !allowed) return on_done(allowed.error());
  auto [wait, answer] = waits_.add(std::move(on_done));
  request = begun_with(wait, std::move(request));
  ledger_.store.as_of(as_of, [this, request = std::move(request), actor, done = std::move(answer)](
                                 base::Result<std::vector<Stream>> then) mutable {
    if (!then) {
      done(then.error());
      return;
    }
    request.mode = ApplyMode::replace;
    request.streams.clear();
    std::vector<StreamSpec> skipped;
    for (Stream& stream : *then) {
      const bool is_over =
          stream.spec.expires_at && *stream.spec.expires_at <= ledger_.clock.wall();
      if (!is_over) {
        request.streams.push_back(std::move(stream.spec));
        continue;
      }
      // Renewed since: what is mapped now stays.
      if (const Stream* now = ledger_.find(stream.spec.port)) request.streams.push_back(now->spec);
      skipped.push_back(std::move(stream.spec));
    }
    applier_.apply(std::move(request), actor,
                   [skipped = std::move(skipped),
                    held = std::move(done)](base::Result<ApplyReport> report) mutable {
                     if (report) report->skipped = std::move(skipped);
                     held(std::move(report));
                   });
  });
}

void Conductor::history(const HistoryQuery& query, StreamStore::OnHistory on_done) {
  ledger_.store.history(query, std::move(on_done));
}

void Conductor::as_of(base::WallTime time, StreamStore::OnStreams on_done) {
  ledger_.store.as_of(time, std::move(on_done));
}

const Stream* Conductor::find(std::uint16_t port) const { return ledger_.find(port); }

base::Error Conductor::none_is_free(bool is_limited) const {
  return {base::Errc::unavailable, "every port of " + ledger_.options.ports.to_string() +
                                       (is_limited ? " that you may have is taken" : " is taken")};
}

// The next one, from `from` on, that nobody is known to have: an int, as a range may end at 65535.
std::optional<std::uint16_t> Conductor::candidate(int from, const PortCheck& may_change) const {
  for (const PortRange& range : ledger_.options.ports.ranges()) {
    for (int each = std::max<int>(range.first, from); each <= range.last; ++each) {
      const auto port = static_cast<std::uint16_t>(each);
      if (ledger_.find(port) == nullptr && !ledger_.unreadable.contains(port) &&
          !ledger_.queue.is_busy(port) && (!may_change || may_change(port)))
        return port;
    }
  }
  return std::nullopt;
}

base::Result<std::uint16_t> Conductor::free_port(const PortCheck& may_change) {
  StreamSpec spec;
  for (auto port = candidate(0, may_change); port; port = candidate(*port + 1, may_change)) {
    spec.port = *port;
    const auto listener = ledger_.plane.prepare(spec);
    if (listener) return *port;  // bound and let go again
    if (listener.error().code == base::Errc::unavailable) return listener.error();
  }
  return none_is_free(bool{may_change});
}

void Conductor::note_backend(std::uint16_t port, Reach reach, const std::string& trouble) {
  const Stream* told_of = ledger_.find(port);
  if (told_of == nullptr) return;
  ledger_.queue.enter(port, [this, port, reach, trouble, backend = told_of->spec.backend] {
    const Stream* present = ledger_.find(port);
    if (present == nullptr || present->state != StreamState::listening ||
        present->spec.backend != backend || present->reason == trouble) {
      ledger_.queue.leave(port);
      return;
    }
    Stream stream = *present;
    stream.reason = trouble;
    if (reach == Reach::reached) {
      base::log::info("sessions reach the backend again", {{"port", port_text(port)}});
    } else {
      base::log::warning(
          reach == Reach::host ? "this host cannot reach the backend" : "backend is not reached",
          {{"port", port_text(port)}, {"reason", trouble}});
    }
    ledger_.keep(stream);
    ledger_.record(port, {NoteStream{stream}});
  });
}

void Conductor::set_on_retry_at(Ledger::OnRetryAt on_retry_at) {
  ledger_.set_on_retry_at(std::move(on_retry_at));
}

void Conductor::retry_due() {
  if (ledger_.stopping) return;
  for (const std::uint16_t port : ledger_.to_retry()) {
    if (ledger_.queue.is_busy(port)) {
      ledger_.retry_later(port);  // its next turn, or it would be due all the time
    } else {
      ledger_.queue.enter(port, [this, port] { retry_at_port(port); });
    }
  }
  ledger_.tell_retry_at();
}

void Conductor::retry_at_port(std::uint16_t port) {
  const Stream* present = ledger_.find(port);
  if (ledger_.stopping || present == nullptr || present->state != StreamState::failed) {
    ledger_.queue.leave(port);
    return;
  }
  Stream stream = *present;
  const std::string reason_before = stream.reason;
  ledger_.open(stream);  // tell_retry_at() is the caller's, once for all
  ledger_.keep(stream);
  if (stream.state == StreamState::listening) {
    log_change("stream opened", stream, service_actor());
    ledger_.record(
        port, {NoteStream{stream}, ledger_.event(EventAction::opened, stream, service_actor())});
  } else if (stream.reason != reason_before) {
    ledger_.record(port, {NoteStream{stream}});
  } else {
    ledger_.queue.leave(port);
  }
}

void Conductor::set_on_expiry_at(Ledger::OnExpiryAt on_expiry_at) {
  ledger_.set_on_expiry_at(std::move(on_expiry_at));
}

void Conductor::expire_due() {
  for (const std::uint16_t port : ledger_.take_expired())
    ledger_.queue.enter(port, [this, port] { expire_at_port(port); });
  for (const std::uint16_t port : ledger_.take_moved())
    ledger_.queue.enter(port, [this, port] { move_end_at_port(port); });
  ledger_.tell_expiry_at();
}

void Conductor::expire_at_port(std::uint16_t port) {
  const Stream* present = ledger_.find(port);
  if (present == nullptr ||
      !ledger_.is_over(present->spec)) {  // renewed, or the clock was set back
    if (present != nullptr) ledger_.keep(*present);
    ledger_.tell_expiry_at();
    ledger_.queue.leave(port);
    return;
  }
  Plan plan;
  plan.actor = service_actor();
  plan.steps.push_back(step_away(ledger_, *present, EventAction::expired));
  plan.on_done = [this, port](const base::Result<std::vector<PlanStep>>& done) {
    if (!done) ledger_.expire_later(port);
  };
  runner_.run(std::move(plan));
}

// The next process goes by the date that is stored.
void Conductor::move_end_at_port(std::uint16_t port) {
  const Stream* present = ledger_.find(port);
  const auto moved =
      present != nullptr && !ledger_.stopping ? ledger_.moved_end(present->spec) : std::nullopt;
  if (!moved) return ledger_.queue.leave(port);
  StreamSpec spec = present->spec;
  base::log::info("expires_at follows the host's clock, which was set",
                  {{"port", port_text(port)},
                   {"before", base::to_iso8601(*spec.expires_at)},
                   {"after", base::to_iso8601(*moved)}});
  spec.expires_at = moved;
  put_at_port(spec, service_actor(), {}, {}, [this](const base::Result<Put>& put) {
    if (!put) ledger_.look_again_for_moved();
  });
}

}  // namespace sc::core
