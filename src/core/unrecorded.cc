#include "core/unrecorded.h"

#include <algorithm>
#include <string>

namespace sc::core {
namespace {

Event by_hand(base::WallTime at, EventAction action, std::uint16_t port) {
  Event event;
  event.at = at;
  event.action = action;
  event.port = port;
  event.actor.name = "sqlite3";  // as the schema says of rows that the service did not write
  event.detail = "found when the service started";
  return event;
}

}  // namespace

std::vector<Event> unrecorded_changes(const StoredStreams& stored, base::WallTime at) {
  std::vector<Event> events;
  auto gone = stored.recorded;
  for (const UnreadableRow& row : stored.unreadable) gone.erase(row.port);
  for (const Stream& stream : stored.streams) {
    const auto known = gone.extract(stream.spec.port);
    if (!known.empty() && known.mapped().spec == stream.spec) continue;
    Event& event = events.emplace_back(
        by_hand(at, known.empty() ? EventAction::created : EventAction::changed, stream.spec.port));
    if (!known.empty()) {
      event.backend_before = base::to_string(known.mapped().spec.backend);
      event.detail += ": " + differing_fields(known.mapped().spec, stream.spec);
    }
    event.backend_after = base::to_string(stream.spec.backend);
    event.spec = stream.spec;
    event.revision = stream.revision;
  }
  for (const auto& [port, recorded] : gone)
    events.emplace_back(by_hand(at, EventAction::removed, port)).backend_before =
        base::to_string(recorded.spec.backend);
  std::sort(events.begin(), events.end(),
            [](const Event& a, const Event& b) { return a.port < b.port; });
  return events;
}

}  // namespace sc::core
