#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "core/port_range.h"

namespace sc::core {

// What somebody may do; each one may what the one before it may.
enum class Role : unsigned char {
  viewer,     // read
  operator_,  // NOLINT: `operator` is C++'s. Create, change and remove streams
  admin,      // replace the whole set of streams, restore
};

std::string_view to_string(Role role);
std::optional<Role> parse_role(std::string_view text);

// Who asks, known and judged. A value.
struct Caller {
  std::string name;  // the actor, as it stands in history: `token ci`, `127.0.0.1`
  Role role = Role::viewer;
  std::optional<PortRanges> ports;  // whose streams it may change; nullopt: all
  std::string token_sha256;         // of the token that it showed; empty: it showed none
  bool operator==(const Caller&) const = default;
};

// forbidden: who it is, what its role is, and which one it takes.
base::Result<void> check_may_read(const Caller& caller);
base::Result<void> check_may_change(const Caller& caller, std::uint16_t port);
// What touches streams whatever their port; so never somebody with some ports only.
base::Result<void> check_may_administer(const Caller& caller);

}  // namespace sc::core
