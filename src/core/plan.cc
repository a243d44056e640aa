#include "core/plan.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "base/hidden_text.h"
#include "base/log.h"
#include "base/text.h"
#include "core/revision.h"
#include "core/same_host.h"

namespace sc::core {
namespace {

bool listened(const PlanStep& step) {
  return step.before && step.before->state == StreamState::listening;
}

bool shall_listen(const PlanStep& step) { return step.after && step.after->spec.enabled; }

// Two listeners of one port may not be there at the same time, so the old one has to go first.
bool moves(const PlanStep& step) {
  return listened(step) && shall_listen(step) &&
         !is_same_host(step.before->spec.listen_address, step.after->spec.listen_address);
}

bool closes(const PlanStep& step) { return listened(step) && !shall_listen(step); }

// Its port did not open, but sessions of a former process may run.
bool leaves_failed(const PlanStep& step) {
  return step.before && step.before->state == StreamState::failed && !shall_listen(step);
}

std::uint16_t port_of(const PlanStep& step) {
  return (step.after ? *step.after : *step.before).spec.port;
}

bool is_same_spec(const PlanStep& step) {
  return step.before && step.after && step.before->spec == step.after->spec;
}

// It failed before it was asked for a change that does not concern its port.
bool may_stay_failed(const PlanStep& step) {
  return step.before && step.before->state == StreamState::failed &&
         is_same_host(step.before->spec.listen_address, step.after->spec.listen_address);
}

// Why the store's failure means that nothing came of it.
std::string what_was_lost(const PlanStep& step) {
  if (is_same_spec(step)) return "the stream runs, but is not stored so: ";
  if (step.action == EventAction::created) return "the stream was not saved: ";
  if (step.action == EventAction::changed) return "the change was not saved, the stream goes on: ";
  return "the removal was not saved, the stream goes on: ";
}

// What is shown in lists, logs and pages must not look like another text. validate() refuses the
// control characters of ASCII, also in rows; a row of a former version may have the other ones.
base::Result<void> check_texts(const StreamSpec& spec, const StreamSpec* present) {
  base::Faults faults;
  const auto check = [&](const char* field, std::string StreamSpec::*text) {
    if (present != nullptr && present->*text == spec.*text) return;
    const auto hidden = base::find_hidden(spec.*text, true);
    if (!hidden || *hidden < 0x80) return;
    faults.add(base::Error{base::Errc::invalid,
                           std::string(field) + " has the character " +
                               base::code_point_name(*hidden) +
                               ", which is not visible or changes how the text is shown: leave it "
                               "out",
                           "/" + std::string(field)});
  };
  check("label", &StreamSpec::label);
  check("note", &StreamSpec::note);
  check("owner", &StreamSpec::owner);
  return std::move(faults).result();
}

// Asks the host for a new address before anything is opened or closed. The address of an enabled
// stream may be gone for a while, and a disabled stream needs none.
base::Result<void> check_listen_address(const Ledger& ledger, const StreamSpec& spec,
                                        const StreamSpec* present) {
  const std::string& address = spec.listen_address;
  if (!spec.enabled || !is_new_listener(spec, present) || !base::is_ip_literal(address) ||
      base::lacks_zone(address) || base::is_group_address(address))
    return {};
  auto own = ledger.plane.check_address(address);
  if (own) return {};
  return base::Error{own.error().code,
                     "listen_address " + base::quoted(address) + " " + own.error().message,
                     "/listen_address"};
}

// A stream whose row was written by hand may be in a ring already; its other fields may change.
base::Result<void> check_ring(const Ledger& ledger, const StreamSpec& spec, const Stream* present,
                              const FindSpec& others) {
  if (present != nullptr && present->spec.backend == spec.backend &&
      present->spec.listen_address == spec.listen_address && present->spec.enabled == spec.enabled)
    return {};
  const Ring ring = ring_of(spec, others ? others : specs_of(ledger), ledger.plane);
  if (ring.empty()) return {};
  return base::Error{
      base::Errc::loop,
      "backend " + base::to_string(spec.backend) +
          " makes a ring of streams, in which no connection ever arrives: " + to_string(ring),
      "/backend"};
}

// Calls its function when all that were expected are done, with the first error, if there was one.
class WhenAll {
 public:
  explicit WhenAll(base::Callback<void(std::optional<base::Error>)> on_all)
      : on_all_(std::move(on_all)) {}
  WhenAll(const WhenAll&) = delete;
  WhenAll& operator=(const WhenAll&) = delete;

  void expect() { ++left_; }
  void one_is_done() { one_is_done({}); }
  void one_is_done(const base::Result<void>& result) {
    if (!result && !error_) error_ = result.error();
    if (--left_ > 0) return;
    auto on_all = std::move(on_all_);
    on_all(std::move(error_));
  }

 private:
  std::size_t left_ = 0;
  std::optional<base::Error> error_;
  base::Callback<void(std::optional<base::Error>)> on_all_;
};

}  // namespace

FindSpec specs_of(const Ledger& ledger) {
  return [&ledger](std::uint16_t port) {
    const Stream* found = ledger.find(port);
    return found == nullptr ? nullptr : &found->spec;
  };
}

PlanStep step_to(const Ledger& ledger, const StreamSpec& spec, const Stream* present,
                 const Actor& actor) {
  PlanStep step;
  step.drain = ledger.options.drain_timeout;
  Stream after;
  if (present != nullptr) {
    after = *present;
    step.before = *present;
    step.action = EventAction::changed;
    if (after.spec != spec) {
      after.revision = next_revision(after.revision);
      after.updated_at = ledger.clock.wall();
    }
  } else {
    after.created_at = after.updated_at = ledger.clock.wall();
    after.created_by = actor.name;
  }
  after.spec = spec;
  step.after = std::move(after);
  return step;
}

PlanStep step_away(const Ledger& ledger, const Stream& present, EventAction action) {
  PlanStep step;
  step.drain = ledger.options.drain_timeout;
  step.before = present;
  step.action = action;
  return step;
}

base::Result<void> check_fields(const Ledger& ledger, const StreamSpec& spec,
                                const Stream* present) {
  base::Faults faults;
  faults.add(validate(spec));
  const StreamSpec* present_spec = present == nullptr ? nullptr : &present->spec;
  faults.add(check_texts(spec, present_spec));
  faults.add(check_zones(spec, present_spec));
  faults.add(check_groups(spec, present_spec));
  if (present == nullptr && spec.port != 0)
    faults.add(check_in_range(spec.port, ledger.options.ports));
  const bool is_new = present == nullptr || present->spec.expires_at != spec.expires_at;
  if (spec.expires_at && is_new && ledger.is_over(spec))
    faults.add(base::Error{base::Errc::invalid,
                           "expires_at " + base::to_iso8601(*spec.expires_at) + " is over already",
                           "/expires_at"});
  faults.add(check_listen_address(ledger, spec, present_spec));
  return std::move(faults).result();
}

base::Result<void> check_change(const Ledger& ledger, const StreamSpec& spec, const Stream* present,
                                const FindSpec& others) {
  if (auto fields = check_fields(ledger, spec, present); !fields) return fields;
  return check_ring(ledger, spec, present, others);
}

void PlanRunner::run(Plan plan) {
  auto held = std::make_unique<Plan>(std::move(plan));
  const bool opens = std::any_of(held->steps.begin(), held->steps.end(), shall_listen);
  if (ledger_.stopping && opens) {
    finish(std::move(held), ledger_.ending());
  } else {
    release(std::move(held));
  }
}

// Streams that move to another address of this host: their sessions go on.
void PlanRunner::release(Held plan) {
  std::vector<std::uint16_t> ports;
  if (!plan->dry_run)
    for (const PlanStep& step : plan->steps)
      if (moves(step)) ports.push_back(step.before->spec.port);
  if (ports.empty()) return prepare(std::move(plan));
  auto all = std::make_shared<WhenAll>(
      [this, held = std::move(plan)](const std::optional<base::Error>&) mutable {
        prepare(std::move(held));
      });
  for (std::size_t i = 0; i < ports.size(); ++i) all->expect();
  for (const std::uint16_t port : ports) ledger_.plane.release(port, [all] { all->one_is_done(); });
}

void PlanRunner::prepare(Held plan) {
  const auto opening = static_cast<std::size_t>(
      std::count_if(plan->steps.begin(), plan->steps.end(), [](const PlanStep& step) {
        return shall_listen(step) && (!listened(step) || moves(step)) && !step.listener;
      }));
  if (opening > 1 && !ledger_.plane.has_room(opening))
    return give_up(
        std::move(plan),
        base::Error{base::Errc::unavailable, "the service's limit of descriptors does not allow " +
                                                 std::to_string(opening) + " more ports"});
  for (PlanStep& step : plan->steps) {
    if (auto prepared = prepare(*plan, step); !prepared)
      return give_up(std::move(plan), prepared.error());
    if (step.before && step.after && step.before->state != step.after->state)
      step.after->updated_at = ledger_.clock.wall();
  }
  if (plan->dry_run) {
    // Before the ports are left: whoever waits there binds them.
    for (PlanStep& step : plan->steps) step.listener.reset();
    return finish(std::move(plan), std::nullopt);
  }
  for (const PlanStep& step : plan->steps)
    if (closes(step)) ledger_.plane.pause(step.before->spec.port);
  plan->is_paused = true;
  commit(std::move(plan));
}

base::Result<void> PlanRunner::prepare(const Plan& plan, PlanStep& step) {
  if (!step.after) return {};
  Stream& after = *step.after;
  if (!shall_listen(step)) {
    step.listener.reset();  // was only to find a port that is free
    after.state = StreamState::disabled;
    after.reason.clear();
    return {};
  }
  after.state = StreamState::listening;
  // What the former backend was blamed for.
  if (!step.before || step.before->state != StreamState::listening ||
      step.before->spec.backend != after.spec.backend)
    after.reason.clear();
  if (step.listener || (listened(step) && !moves(step))) return {};
  StreamSpec wanted = after.spec;
  // Our own listener is at the port still: whether the host has the address is what can be tried.
  if (plan.dry_run && moves(step)) wanted.port = 0;
  auto listener = ledger_.plane.prepare(wanted);
  if (listener) {
    step.listener = std::move(*listener);
    return {};
  }
  if (plan.is_stored || may_stay_failed(step)) {
    after.state = StreamState::failed;
    after.reason = listener.error().message;
    return {};
  }
  base::Error error = listener.error();
  if (error.code == base::Errc::invalid) error.field = step.where + "/listen_address";
  if (error.code == base::Errc::in_use || error.code == base::Errc::forbidden ||
      error.code == base::Errc::privilege)
    error.field = step.where + "/port";
  if (error.code == base::Errc::in_use) {
    const std::string owner = ledger_.plane.owner_of(after.spec);
    if (!owner.empty()) error.message += ": " + owner;
  }
  return error;
}

void PlanRunner::commit(Held plan) {
  std::vector<StoreWrite> all;
  for (const PlanStep& step : plan->steps)
    for (StoreWrite& write : writes(*plan, step)) all.push_back(std::move(write));
  if (all.empty()) return activate(std::move(plan));
  ledger_.store.commit(std::move(all), [this,
                                        held = std::move(plan)](base::Result<void> saved) mutable {
    const bool opens = std::any_of(held->steps.begin(), held->steps.end(),
                                   [](const PlanStep& step) { return bool{step.listener}; });
    if (!saved && held->is_stored) {
      base::log::error("a change by hand was not written to history",
                       {{"reason", saved.error().message}});
    } else if (!saved) {
      const PlanStep& first = held->steps.front();
      const std::string lost = held->steps.size() > 1 ? "nothing was changed, as it was not saved: "
                                                      : what_was_lost(first);
      base::log::error("a change was not saved", {{"port", std::to_string(port_of(first))},
                                                  {"actor", held->actor.name},
                                                  {"reason", saved.error().message}});
      return give_up(std::move(held), with_prefix(lost, saved.error()));
    }
    // The rows are on disk, but no worker takes a listener any more.
    if (ledger_.stopping && opens) return take_back(std::move(held));
    activate(std::move(held));
  });
}

std::vector<StoreWrite> PlanRunner::writes(const Plan& plan, const PlanStep& step) const {
  std::vector<StoreWrite> out;
  if (!step.after) {
    if (!plan.is_stored) out.emplace_back(EraseStream{step.before->spec.port});
    out.emplace_back(ledger_.event(step.action, *step.before, plan.actor));
    return out;
  }
  const Stream& after = *step.after;
  const bool was_failed = step.before && step.before->state == StreamState::failed;
  const bool is_failed = after.state == StreamState::failed;
  const bool differs =
      !step.before || after.state != step.before->state || after.reason != step.before->reason;
  if (plan.is_stored) {
    out.emplace_back(NoteStream{after});
  } else if (!step.before || is_same_spec(step)) {
    if (!is_failed) out.emplace_back(AddStream{after});
    if (step.before && differs) out.emplace_back(NoteStream{after});
  } else {
    out.emplace_back(ReplaceStream{after, step.before->spec});
  }
  if (!is_same_spec(step)) {
    AppendEvent event = ledger_.event(step.action, after, plan.actor);
    if (step.before) {
      event.event.backend_before = base::to_string(step.before->spec.backend);
      event.event.detail = differing_fields(step.before->spec, after.spec);
    }
    out.emplace_back(std::move(event));
  }
  if (was_failed && after.state == StreamState::listening)
    out.emplace_back(ledger_.event(EventAction::opened, after, plan.actor));
  // After `changed` too: as_of takes the state from a port's last event.
  if (is_failed && (!was_failed || !is_same_spec(step)))
    out.emplace_back(ledger_.event(EventAction::failed, after, service_actor()));
  return out;
}

void PlanRunner::activate(Held plan) {
  std::vector<Closing> closing;
  std::vector<std::uint16_t> opening;
  for (PlanStep& step : plan->steps) {
    const Stream& named = step.after ? *step.after : *step.before;
    const std::uint16_t port = named.spec.port;
    if (step.listener) {
      ledger_.plane.activate(std::move(step.listener), named);
      opening.push_back(port);
    } else if ((listened(step) && (!step.after || step.after->state != StreamState::listening)) ||
               leaves_failed(step)) {
      closing.emplace_back(port, step.drain);
    } else if (listened(step) && !is_same_spec(step)) {
      ledger_.plane.change(named.spec);
    }
    if (!step.after) {
      log_change(step.action == EventAction::expired ? "stream expired" : "stream removed", named,
                 plan->actor);
      ledger_.let_go(port);
      continue;
    }
    if (!step.before && !shall_listen(step)) ledger_.plane.restore(port, {});
    if (!step.before)
      log_change("stream created", named, plan->actor);
    else if (!is_same_spec(step))
      log_change("stream changed", named, plan->actor);
    else if (named.state != step.before->state)
      log_change("stream opened", named, plan->actor);
    ledger_.keep(named);
  }
  ledger_.tell_retry_at();
  ledger_.tell_expiry_at();
  wait(std::move(plan), closing, opening);
}

// The answer means that the ports accept, or can be bound again. Where no worker accepts, the rows
// are on disk and stay.
void PlanRunner::wait(Held plan, const std::vector<Closing>& closing,
                      const std::vector<std::uint16_t>& opening) {
  if (closing.empty() && opening.empty()) return finish(std::move(plan), std::nullopt);
  auto all = std::make_shared<WhenAll>(
      [this, held = std::move(plan)](std::optional<base::Error> error) mutable {
        finish(std::move(held), std::move(error));
      });
  for (std::size_t i = 0; i < closing.size() + opening.size(); ++i) all->expect();
  for (const auto& [port, drain] : closing)
    ledger_.plane.close(port, drain, [all] { all->one_is_done(); });
  for (const std::uint16_t port : opening)
    ledger_.plane.when_accepting(
        port, [all](const base::Result<void>& result) { all->one_is_done(result); });
}

// Nothing was changed but for what can be taken back.
void PlanRunner::give_up(Held plan, base::Error error) {
  std::vector<StoreWrite> writes;
  for (PlanStep& step : plan->steps) {
    step.listener.reset();
    if (plan->dry_run) continue;
    if (plan->is_paused && closes(step)) ledger_.plane.resume(step.before->spec.port);
    if (moves(step)) reopen(step, plan->actor, writes);
  }
  if (writes.empty()) return finish(std::move(plan), std::move(error));
  ledger_.tell_retry_at();
  ledger_.store.commit(std::move(writes), [this, held = std::move(plan),
                                           error = std::move(error)](base::Result<void>) mutable {
    finish(std::move(held), std::move(error));
  });
}

// At its former address, which somebody else may have taken meanwhile.
void PlanRunner::reopen(PlanStep& step, const Actor& actor, std::vector<StoreWrite>& writes) {
  Stream former = *step.before;
  if (auto listener = ledger_.plane.prepare(former.spec)) {
    ledger_.plane.activate(std::move(*listener), former);
    return;
  } else {  // NOLINT(readability-else-after-return): the listener is its condition's
    former.reason = listener.error().message;
  }
  former.state = StreamState::failed;
  former.updated_at = ledger_.clock.wall();
  log_change("stream cannot open at its former address", former, actor);
  ledger_.plane.close(former.spec.port, ledger_.options.drain_timeout, [] {});
  ledger_.keep(former);
  writes.emplace_back(NoteStream{former});
  writes.emplace_back(ledger_.event(EventAction::failed, former, service_actor()));
}

// A stop came while the store wrote. What is all new goes again; else all of it stays, and is made
// when the service starts again: nothing is done by half, and no row that somebody wrote by hand is
// taken away.
void PlanRunner::take_back(Held plan) {
  const bool all_new = !plan->is_stored && std::all_of(plan->steps.begin(), plan->steps.end(),
                                                       [](const PlanStep& step) {
                                                         return !step.before || is_same_spec(step);
                                                       });
  std::vector<StoreWrite> writes;
  for (PlanStep& step : plan->steps) {
    step.listener.reset();
    if (!all_new || step.before) continue;
    writes.emplace_back(EraseStream{step.after->spec.port});
    writes.emplace_back(ledger_.event(EventAction::removed, *step.after, service_actor()));
  }
  const base::Error stopping = ledger_.ending();
  const base::Error saved_so{base::Errc::unavailable,
                             "the change is saved, but the service takes none any more: it is "
                             "made when the service starts again"};
  if (writes.empty()) return finish(std::move(plan), saved_so);
  ledger_.store.commit(std::move(writes), [this, held = std::move(plan), stopping,
                                           saved_so](base::Result<void> undone) mutable {
    finish(std::move(held), undone ? stopping : saved_so);
  });
}

void PlanRunner::finish(Held plan, std::optional<base::Error> error) {
  for (const PlanStep& step : plan->steps) ledger_.queue.leave(port_of(step));
  auto done = std::move(plan->on_done);
  if (error) {
    done(std::move(*error));
  } else {
    done(std::move(plan->steps));
  }
}

}  // namespace sc::core
