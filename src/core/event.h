#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace sc::core {

enum class EventAction : unsigned char {
  created,   // somebody asked for the stream
  changed,   // its backend became another one
  removed,   // somebody took it away
  opened,    // a failed stream's port could be opened
  failed,    // its port could not be opened
  reopened,  // opened again when the service started
};

std::string_view to_string(EventAction action);
std::optional<EventAction> parse_event_action(std::string_view text);

// A row of history: never changed once written. Empty texts are stored as NULL.
struct Event {
  base::WallTime at{};
  EventAction action = EventAction::created;
  std::uint16_t port = 0;
  std::string actor;           // who asked: an address, `token ci`, `uid 1000 (curl)`; or `service`
  std::string backend_before;  // empty where there was none
  std::string backend_after;   // empty where there is none
  std::string detail;          // why, for `failed`
  bool operator==(const Event&) const = default;
};

}  // namespace sc::core
