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
  event.actor = "sqlite3";  // as the schema says of rows that the service did not write
  event.detail = "found when the service started";
  return event;
}

}  // namespace

std::vector<Event> unrecorded_changes(const StoredStreams& stored, base::WallTime at) {
  std::vector<Event> events;
  auto gone = stored.recorded;
  for (const UnreadableRow& row : stored.unreadable) gone.erase(row.port);
  for (const Stream& stream : stored.streams) {
    const std::string backend = base::to_string(stream.spec.backend);
    const auto known = gone.find(stream.spec.port);
    const std::string before = known == gone.end() ? "" : known->second;
    if (known != gone.end()) gone.erase(known);
    if (before == backend) continue;
    Event& event = events.emplace_back(by_hand(
        at, before.empty() ? EventAction::created : EventAction::changed, stream.spec.port));
    event.backend_before = before;
    event.backend_after = backend;
  }
  for (const auto& [port, backend] : gone)
    events.emplace_back(by_hand(at, EventAction::removed, port)).backend_before = backend;
  std::sort(events.begin(), events.end(),
            [](const Event& a, const Event& b) { return a.port < b.port; });
  return events;
}

}  // namespace sc::core
