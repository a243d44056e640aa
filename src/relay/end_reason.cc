#include "relay/end_reason.h"

#include <array>

namespace sc::relay {

std::string_view to_string(EndReason reason) {
  static constexpr std::array<std::string_view, 13> kNames{
      "finished",        "client_reset",    "backend_reset",
      "backend_refused", "backend_timeout", "backend_unresolved",
      "idle_timeout",    "lifetime",        "denied",
      "limit",           "drained",         "killed",
      "internal"};
  return kNames.at(static_cast<std::size_t>(reason));
}

}  // namespace sc::relay
