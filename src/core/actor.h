#pragma once

#include <string>

namespace sc::core {

// Who asked for a change, as it stands in history and log: an address, `uid 1000 (curl)`,
// `token ci`, or `service` for what the service does by itself. A value.
struct Actor {
  std::string name;
  std::string request_id;  // of the request that asked; empty for what no request asked for
  bool operator==(const Actor&) const = default;
};

}  // namespace sc::core
