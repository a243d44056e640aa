#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "core/actor.h"
#include "core/stream.h"

namespace sc::core {

enum class EventAction : unsigned char {
  created,   // somebody asked for the stream
  changed,   // its spec became another one
  removed,   // somebody took it away
  opened,    // a failed stream's port could be opened
  failed,    // its port could not be opened, or still cannot after `changed`
  reopened,  // opened when the service started; only earlier versions wrote it, at each start
  expired,   // its time was over, so the service took it away
};

std::string_view to_string(EventAction action);
std::optional<EventAction> parse_event_action(std::string_view text);

// Is the stream gone after it?
bool is_end(EventAction action);

// A row of history: never changed once written. Empty texts are stored as NULL.
struct Event {
  base::WallTime at{};
  EventAction action = EventAction::created;
  std::uint16_t port = 0;
  Actor actor;
  std::string backend_before;      // empty where there was none
  std::string backend_after;       // empty where there is none
  std::string detail;              // why, for `failed`; which fields, for `changed`
  std::optional<StreamSpec> spec;  // as it is afterwards; nothing where the stream is gone
  std::int64_t revision = 0;       // likewise; 0 where it is not known
  bool operator==(const Event&) const = default;
};

// An event as it lies in the store.
struct RecordedEvent {
  std::int64_t id = 0;  // rises in the order of writing
  Event event;
};

// Which events; what is not set does not matter.
struct HistoryQuery {
  std::optional<std::uint16_t> port;
  std::optional<base::WallTime> since;  // at this time or later
  std::optional<base::WallTime> until;  // before this time
  std::optional<std::string> actor;     // its name, whole
  std::optional<EventAction> action;
  std::optional<std::int64_t> before_id;  // the page's cursor: older than this one
  // Written later than this one; then the page begins with what was written first. Not together
  // with before_id.
  std::optional<std::int64_t> after_id;
  std::size_t limit = 100;  // 1 to kMaxHistoryPage
};

constexpr std::size_t kMaxHistoryPage = 1000;

// Where the history begins, as older events were deleted.
struct HistoryStart {
  std::optional<base::WallTime> at;  // complete from then on; nullopt: nothing was deleted
  std::int64_t deleted_id = 0;       // the highest id of a deleted event; 0: none
  bool operator==(const HistoryStart&) const = default;
};

struct HistoryPage {
  std::vector<RecordedEvent> events;      // the latest first, unless after_id was asked for
  std::optional<std::int64_t> before_id;  // of the next page; nothing: this is the last
  std::int64_t newest_id = 0;             // of all events, where after_id was asked for; else 0
  HistoryStart start;
};

}  // namespace sc::core
