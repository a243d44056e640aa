#include "core/event.h"

#include <array>

namespace sc::core {
namespace {

constexpr std::array<std::string_view, 7> kNames{"created", "changed",  "removed", "opened",
                                                 "failed",  "reopened", "expired"};

}  // namespace

std::string_view to_string(EventAction action) {
  return kNames.at(static_cast<std::size_t>(action));
}

std::optional<EventAction> parse_event_action(std::string_view text) {
  for (std::size_t i = 0; i < kNames.size(); ++i)
    if (kNames.at(i) == text) return static_cast<EventAction>(i);
  return std::nullopt;
}

bool is_end(EventAction action) {
  return action == EventAction::removed || action == EventAction::expired;
}

}  // namespace sc::core
