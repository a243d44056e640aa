#include "core/store_follower.h"

#include <optional>
#include <set>
#include <string>
#include <utility>

#include "base/log.h"
#include "core/reconcile.h"
#include "core/ring.h"
#include "core/unrecorded.h"

namespace sc::core {
namespace {

std::string port_text(std::uint16_t port) { return std::to_string(port); }

void warn_of_ring(const Ring& ring) {
  base::log::warning("streams forward to one another in a ring", {{"ring", to_string(ring)}});
}

// The stream that was seen, not one that was made at its port since.
bool is_same(const Stream& now, const Stream& seen) {
  return now.spec == seen.spec && now.created_at == seen.created_at &&
         now.revision == seen.revision;
}

}  // namespace

void StoreFollower::boot(const StoredStreams& stored, base::Callback<void(BootReport)> on_done) {
  BootReport report;
  std::vector<StoreWrite> writes;
  std::set<std::uint16_t> changed_by_hand;
  note_unreadable(stored.unreadable);
  for (Event& change : unrecorded_changes(stored, ledger_.clock.wall())) {
    base::log::info("stream was changed by hand",
                    {{"port", port_text(change.port)},
                     {"action", std::string(to_string(change.action))},
                     {"before", change.backend_before},
                     {"after", change.backend_after}});
    changed_by_hand.insert(change.port);
    writes.emplace_back(AppendEvent{std::move(change)});
  }
  for (const Stream& stream : stored.streams) {
    const auto carried = stored.traffic.find(stream.spec.port);
    const auto recorded = stored.recorded.find(stream.spec.port);
    const bool is_recorded_failed = recorded != stored.recorded.end() &&
                                    recorded->second.is_failed &&
                                    !changed_by_hand.contains(stream.spec.port);
    boot_one(stream, carried == stored.traffic.end() ? nullptr : &carried->second.traffic,
             is_recorded_failed, writes, report);
  }
  warn_of_rings();
  ledger_.tell_retry_at();
  ledger_.tell_expiry_at();
  if (!writes.empty()) ledger_.store.record(std::move(writes));
  on_done(report);
}

void StoreFollower::boot_one(const Stream& stored, const Traffic* carried, bool is_recorded_failed,
                             std::vector<StoreWrite>& writes, BootReport& report) {
  Stream stream = stored;
  if (stream.spec.expires_at && *stream.spec.expires_at <= ledger_.clock.wall()) {
    log_change("stream expired while the service did not run", stream, service_actor());
    writes.emplace_back(EraseStream{stream.spec.port});
    writes.emplace_back(ledger_.event(EventAction::expired, stream, service_actor()));
    ++report.expired;
    return;
  }
  if (!ledger_.options.ports.contains(stream.spec.port))
    base::log::warning(
        "stream is outside of the range for new ones, opened all the same",
        {{"port", port_text(stream.spec.port)}, {"range", ledger_.options.ports.to_string()}});
  stream.reason.clear();
  if (carried != nullptr) ledger_.plane.restore(stream.spec.port, *carried);
  std::optional<EventAction> change;  // of what history has
  if (!stream.spec.enabled) {
    ++report.disabled;
    stream.state = StreamState::disabled;
  } else {
    // A stream that was deleted and written again by hand has failed in history alone.
    const bool was_failed = is_recorded_failed || stored.state == StreamState::failed;
    ledger_.open(stream);
    const bool opened = stream.state == StreamState::listening;
    ++(opened ? report.opened : report.failed);
    if (opened && was_failed) change = EventAction::opened;
    if (!opened && !is_recorded_failed) change = EventAction::failed;
  }
  if (stream != stored) writes.emplace_back(NoteStream{stream});
  if (change) writes.emplace_back(ledger_.event(*change, stream, service_actor()));
  ledger_.keep(stream);
}

// Of rows that were written by hand. The streams open; their sessions end as `loop`.
void StoreFollower::warn_of_rings() const {
  for (const Ring& ring : rings_of(ledger_.streams(), ledger_.plane)) warn_of_ring(ring);
}

void StoreFollower::warn_if_in_ring(std::uint16_t port) const {
  const Stream* present = ledger_.find(port);
  if (present == nullptr) return;
  const Ring ring = ring_of(present->spec, specs_of(ledger_), ledger_.plane);
  if (!ring.empty()) warn_of_ring(ring);
}

void StoreFollower::note_unreadable(const std::vector<UnreadableRow>& rows) {
  ledger_.unreadable.clear();
  for (const UnreadableRow& row : rows) {
    base::log::error("row of the database is no stream", {{"row", row.row}, {"reason", row.why}});
    if (row.port != 0) ledger_.unreadable.insert(row.port);
  }
}

void StoreFollower::reload(const Actor& actor,
                           base::Callback<void(base::Result<ReloadReport>)> on_done) {
  ledger_.store.load(
      [this, actor, done = std::move(on_done)](base::Result<StoredStreams> stored) mutable {
        if (!stored) {
          done(stored.error());
          return;
        }
        done(follow_all(*stored, actor, false));
      });
}

ReloadReport StoreFollower::take_up(const StoredStreams& stored, const Actor& actor) {
  for (const Stream& stream : stored.streams) {
    const std::uint16_t port = stream.spec.port;
    const auto carried = stored.traffic.find(port);
    const Stream* running = ledger_.find(port);
    if (running == nullptr && carried != stored.traffic.end())
      ledger_.plane.restore(port, carried->second.traffic);
    if (running != nullptr && running->spec == stream.spec)
      ledger_.queue.enter(port, [this, stream] { adopt(stream); });
  }
  return follow_all(stored, actor, true);
}

void StoreFollower::adopt(const Stream& wanted) {
  const Stream* running = ledger_.find(wanted.spec.port);
  if (running != nullptr && running->spec == wanted.spec) {
    Stream adopted = wanted;
    adopted.state = running->state;
    adopted.reason = running->reason;
    ledger_.keep(adopted);
    // The row says how the stream was when the copy was made.
    ledger_.store.record({NoteStream{adopted}});
  }
  ledger_.queue.leave(wanted.spec.port);
}

ReloadReport StoreFollower::follow_all(const StoredStreams& stored, const Actor& actor,
                                       bool is_restored) {
  // A row that was spoilt by hand ends nothing: its stream stays as it runs.
  std::vector<Stream> running;
  for (const auto& [port, stream] : ledger_.streams()) running.push_back(stream);
  note_unreadable(stored.unreadable);
  std::erase_if(
      running, [&](const Stream& stream) { return ledger_.unreadable.contains(stream.spec.port); });
  ReloadReport report;
  const auto follow_later = [&](std::uint16_t port, std::optional<Stream> wanted,
                                std::optional<Stream> seen) {
    ledger_.queue.enter(
        port, [this, wanted = std::move(wanted), seen = std::move(seen), actor, is_restored] {
          follow(wanted ? &*wanted : nullptr, seen ? &*seen : nullptr, actor, is_restored);
        });
  };
  for (const ReconcileAction& action : reconcile(stored.streams, running)) {
    if (const auto* closing = std::get_if<CloseStream>(&action)) {
      ++report.closed;
      follow_later(closing->seen.spec.port, std::nullopt, closing->seen);
    } else if (const auto* changing = std::get_if<ChangeStream>(&action)) {
      ++report.changed;
      follow_later(changing->stream.spec.port, changing->stream, changing->seen);
    } else if (const auto* opening = std::get_if<OpenStream>(&action)) {
      ++report.opened;
      follow_later(opening->stream.spec.port, opening->stream, std::nullopt);
    }
  }
  return report;
}

void StoreFollower::follow(const Stream* wanted, const Stream* seen, const Actor& actor,
                           bool is_restored) {
  const std::uint16_t port = (wanted != nullptr ? wanted : seen)->spec.port;
  const Stream* present = ledger_.find(port);
  const bool is_as_seen =
      seen == nullptr ? present == nullptr : present != nullptr && is_same(*present, *seen);
  if (ledger_.stopping || !is_as_seen) {  // not any more
    ledger_.queue.leave(port);
    return;
  }
  Plan plan;
  plan.actor = actor;
  plan.is_stored = true;
  plan.steps.push_back(wanted != nullptr ? step_to(ledger_, wanted->spec, present, actor)
                                         : step_away(ledger_, *present, EventAction::removed));
  if (wanted != nullptr && present == nullptr) {
    plan.steps.front().after = *wanted;
    plan.steps.front().after->reason.clear();
  }
  if (is_restored && wanted != nullptr && present != nullptr) {
    plan.steps.front().after->created_at = wanted->created_at;
    plan.steps.front().after->created_by = wanted->created_by;
    plan.steps.front().after->revision = wanted->revision;
  }
  plan.on_done = [this, port](const base::Result<std::vector<PlanStep>>&) {
    warn_if_in_ring(port);
  };
  runner_.run(std::move(plan));
}

}  // namespace sc::core
