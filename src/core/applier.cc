#include "core/applier.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>

namespace sc::core {
namespace {

base::Error at(const std::string& where, base::Error error) {
  error.field = where + error.field;
  for (base::WrongPart& part : error.more) part.field = where + part.field;
  return error;
}

base::Result<void> check_port(const ApplyRequest& request, std::uint16_t port) {
  return request.may_change ? request.may_change(port) : base::Result<void>{};
}

std::uint16_t port_of(const StreamChange& change) {
  return (change.after ? *change.after : *change.before).spec.port;
}

ApplyReport to_report(std::vector<PlanStep> steps, std::size_t unchanged) {
  ApplyReport report;
  report.unchanged = unchanged;
  for (PlanStep& step : steps) {
    if (step.before && step.after && step.before->spec == step.after->spec) continue;
    report.changes.push_back({step.action, std::move(step.before), std::move(step.after)});
  }
  std::sort(report.changes.begin(), report.changes.end(),
            [](const StreamChange& a, const StreamChange& b) { return port_of(a) < port_of(b); });
  return report;
}

}  // namespace

void Applier::apply(ApplyRequest request, const Actor& actor, OnDone on_done) {
  auto applying = std::make_unique<Applying>();
  for (std::size_t i = 0; i < request.streams.size(); ++i) {
    if (applying->listed.insert(request.streams[i].port).second) continue;
    on_done(base::Error{base::Errc::invalid,
                        "port " + std::to_string(request.streams[i].port) + " is in the list twice",
                        "/" + std::to_string(i) + "/port"});
    return;
  }
  applying->to_enter = applying->listed;
  applying->request = std::move(request);
  applying->actor = actor;
  applying->on_done = std::move(on_done);
  waiting_.push_back(std::move(applying));
  next();
}

void Applier::next() {
  if (running_ || waiting_.empty()) return;
  running_ = true;
  Held applying = std::move(waiting_.front());
  waiting_.pop_front();
  enter(std::move(applying));
}

// One port after the other. What else is at a port has that one alone, so it leaves some time.
void Applier::enter(Held applying) {
  while (true) {
    if (applying->request.mode == ApplyMode::replace) {
      for (const auto& [port, stream] : ledger_.streams())
        if (!applying->entered.contains(port)) applying->to_enter.insert(port);
    }
    if (applying->to_enter.empty()) return decide(std::move(applying));
    for (const std::uint16_t port : std::exchange(applying->to_enter, {})) {
      applying->entered.insert(port);
      if (!ledger_.queue.is_busy(port)) {
        ledger_.queue.enter(port, [] {});
        continue;
      }
      // The rest when it is its turn here.
      for (const std::uint16_t later : applying->listed)
        if (!applying->entered.contains(later)) applying->to_enter.insert(later);
      ledger_.queue.enter(port,
                          [this, held = std::move(applying)]() mutable { enter(std::move(held)); });
      return;
    }
  }
}

void Applier::decide(Held applying) {
  Plan plan;
  ApplyReport report;
  base::Result<void> allowed{};
  if (applying->request.check) allowed = applying->request.check();
  if (allowed) allowed = add_listed(*applying, plan, report);
  if (allowed && applying->request.mode == ApplyMode::replace)
    allowed = add_unlisted(*applying, plan);
  if (!allowed) {
    leave(*applying, {});
    return end(std::move(applying), allowed.error());
  }
  std::set<std::uint16_t> planned;
  for (const PlanStep& step : plan.steps)
    planned.insert((step.after ? *step.after : *step.before).spec.port);
  leave(*applying, planned);
  if (plan.steps.empty()) return end(std::move(applying), std::move(report));
  plan.actor = applying->actor;
  plan.dry_run = applying->request.dry_run;
  plan.on_done = [this, unchanged = report.unchanged,
                  held = std::move(applying)](base::Result<std::vector<PlanStep>> done) mutable {
    if (done) {
      end(std::move(held), to_report(std::move(*done), unchanged));
    } else {
      end(std::move(held), done.error());
    }
  };
  runner_.run(std::move(plan));
}

base::Result<void> Applier::add_listed(const Applying& applying, Plan& plan,
                                       ApplyReport& report) const {
  const std::vector<StreamSpec>& list = applying.request.streams;
  std::map<std::uint16_t, const StreamSpec*> by_port;
  for (const StreamSpec& spec : list) by_port.emplace(spec.port, &spec);
  // The streams as they are once the list is applied.
  const FindSpec afterwards = [&](std::uint16_t port) -> const StreamSpec* {
    if (const auto listed = by_port.find(port); listed != by_port.end()) return listed->second;
    const Stream* other =
        applying.request.mode == ApplyMode::replace ? nullptr : ledger_.find(port);
    return other == nullptr ? nullptr : &other->spec;
  };
  base::Faults faults;
  std::optional<base::Error> ring;  // the first one; it counts once all fields are right
  for (std::size_t i = 0; i < list.size(); ++i) {
    const std::string where = "/" + std::to_string(i);
    const Stream* present = ledger_.find(list[i].port);
    if (auto valid = check_change(ledger_, list[i], present, afterwards); !valid) {
      if (valid.error().code != base::Errc::loop) {
        faults.add(at(where, valid.error()));
      } else if (!ring) {
        ring = at(where, valid.error());
      }
      continue;
    }
    if (present != nullptr && present->spec == list[i]) {
      ++report.unchanged;
      // A failed one is tried; of the others it is made sure that the row is there.
      if (!check_port(applying.request, list[i].port)) continue;
    } else if (auto may = check_port(applying.request, list[i].port); !may) {
      return at(where, may.error());
    }
    PlanStep step = step_to(ledger_, list[i], present, applying.actor);
    step.where = where;
    plan.steps.push_back(std::move(step));
  }
  if (faults.empty() && ring) return std::move(*ring);
  return std::move(faults).result();
}

base::Result<void> Applier::add_unlisted(const Applying& applying, Plan& plan) const {
  for (const std::uint16_t port : applying.entered) {
    const Stream* present = ledger_.find(port);
    if (present == nullptr || applying.listed.contains(port)) continue;
    if (auto may = check_port(applying.request, port); !may) return may;
    plan.steps.push_back(step_away(ledger_, *present, EventAction::removed));
  }
  return {};
}

void Applier::leave(const Applying& applying, const std::set<std::uint16_t>& but) {
  for (const std::uint16_t port : applying.entered)
    if (!but.contains(port)) ledger_.queue.leave(port);
}

void Applier::end(Held applying, base::Result<ApplyReport> report) {
  auto done = std::move(applying->on_done);
  applying.reset();
  running_ = false;
  next();
  done(std::move(report));  // may destroy this
}

}  // namespace sc::core
