#include "relay/past_traffic.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "relay/failure_log.h"

namespace sc::relay {

core::Traffic traffic_of(const StreamCounters& counters) {
  constexpr auto kRelaxed = std::memory_order_relaxed;
  return {counters.sessions_active.load(kRelaxed), counters.sessions_total.load(kRelaxed),
          counters.bytes_in.load(kRelaxed), counters.bytes_out.load(kRelaxed), counters.ended()};
}

core::Traffic inherited_of(const StreamCounters& counters) {
  return {0,
          counters.sessions_inherited,
          counters.bytes_in_inherited,
          counters.bytes_out_inherited,
          {}};
}

void PastTraffic::restore(std::uint16_t port, const core::Traffic& carried) {
  ports_.insert_or_assign(port, Past{carried, carried, {}, {}, false});
  gone_.erase(port);
}

void PastTraffic::open(std::uint16_t port) {
  sum_up_gone(kGoneAtOnce);
  const auto found = ports_.find(port);
  if (found == ports_.end()) return;
  if (found->second.is_gone) {
    ports_.erase(found);
    gone_.erase(port);
  } else {
    sum_up(port);
  }
}

void PastTraffic::close(std::uint16_t port, std::shared_ptr<const StreamCounters> counters) {
  sum_up_gone(kGoneAtOnce);
  Past& past = ports_[port];
  past.latest = counters;
  past.running.push_back(std::move(counters));
}

void PastTraffic::forget(std::uint16_t port, bool is_open) {
  sum_up_gone(kGoneAtOnce);
  if (is_open) {
    ports_[port].is_gone = true;
  } else if (const auto found = ports_.find(port); found != ports_.end()) {
    found->second.is_gone = true;
    sum_up(port);
  }
}

void PastTraffic::sum_up(std::uint16_t port) {
  const auto found = ports_.find(port);
  if (found == ports_.end()) return;
  Past& past = found->second;
  std::erase_if(past.running, [&past](const Counters& counters) {
    if (counters->sessions_admitted.load() > 0 || counters->sessions_active.load() > 0)
      return false;
    past.carried += traffic_of(*counters);
    past.restored += inherited_of(*counters);
    return true;
  });
  if (!past.is_gone) return;
  if (past.running.empty()) {
    ports_.erase(found);
    gone_.erase(port);
  } else {
    gone_.insert(port);
  }
}

void PastTraffic::sum_up_gone() { sum_up_gone(gone_.size()); }

void PastTraffic::sum_up_gone(std::size_t most) {
  for (most = std::min(most, gone_.size()); most > 0; --most) {
    auto next = gone_.upper_bound(seen_gone_);
    if (next == gone_.end()) next = gone_.begin();
    seen_gone_ = *next;
    sum_up(seen_gone_);
  }
}

core::Traffic PastTraffic::traffic(std::uint16_t port) const {
  const auto found = ports_.find(port);
  if (found == ports_.end()) return {};
  core::Traffic sum = found->second.carried;
  for (const Counters& running : found->second.running) sum += traffic_of(*running);
  return sum;
}

core::Traffic PastTraffic::restored(std::uint16_t port) const {
  const auto found = ports_.find(port);
  if (found == ports_.end()) return {};
  core::Traffic sum = found->second.restored;
  for (const Counters& running : found->second.running) sum += inherited_of(*running);
  return sum;
}

core::Failures PastTraffic::failures(std::uint16_t port, const StreamCounters* now) const {
  const auto told_by = [](const StreamCounters* counters) {
    const StreamFailures* failed = counters != nullptr ? counters->failures() : nullptr;
    return failed != nullptr ? failed->log.told() : core::Failures{};
  };
  core::Failures told = told_by(now);
  const auto found = ports_.find(port);
  if (found == ports_.end() || !found->second.latest) return told;
  core::Failures before = told_by(found->second.latest.get());
  // Each log is in order, and to a finer measure than the times that are told.
  if (told.groups.empty()) return before;
  if (!before.groups.empty()) core::merge(told, std::move(before));
  return told;
}

SavedSessions::SavedSessions(const std::map<std::uint16_t, core::StoredTraffic>& saved,
                             const base::Clock& clock)
    : saved_(saved), now_(clock.boot()) {}

bool SavedSessions::has(const handoff::SessionFacts& session) const {
  const auto saved = saved_.find(session.port);
  if (saved == saved_.end()) return false;
  const base::BootTime& at = saved->second.saved_on;
  // Where no boot can be told from another, one that lies ahead was before this one.
  return at.boot_id == now_.boot_id && at.monotonic <= now_.monotonic &&
         std::chrono::milliseconds(session.started_at) <= at.monotonic;
}

}  // namespace sc::relay
