#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "core/caller.h"
#include "core/port_range.h"

namespace sc::core {

// What lets somebody use the API who shows a secret. The secret itself is nowhere. A value.
struct Token {
  std::string name;
  Role role = Role::viewer;
  std::optional<PortRanges> ports;  // whose streams it may change; nullopt: all
  std::string sha256;               // of the secret, 64 lower-case hexadecimal digits
  base::WallTime created_at{};
  std::optional<base::WallTime> expires_at;
  std::optional<base::WallTime> last_used_at;  // up to a minute late
  std::optional<base::WallTime> revoked_at;
  bool operator==(const Token&) const = default;
};

enum class TokenState : unsigned char {
  active,
  expired,  // from expires_at on
  revoked,
};

std::string_view to_string(TokenState state);
TokenState state_of(const Token& token, base::WallTime now);

// Who shows this token's secret.
Caller to_caller(const Token& token);

// 1 to 64 letters, digits, `.`, `_`, `-`.
base::Result<void> check_token_name(std::string_view name);
// A name, and no ports for an admin, whose say is about all of them.
base::Result<void> check_token(const Token& token);

// `sc_` and 64 hexadecimal digits, 256 bits of them random. internal: the host gives none.
base::Result<std::string> make_token_secret();

}  // namespace sc::core
