#include "core/token.h"

#include <algorithm>

#include "base/digest.h"
#include "base/text.h"

namespace sc::core {
namespace {

constexpr std::size_t kMaxName = 64;
constexpr std::size_t kSecretBytes = 32;
// Tells people and secret scanners what it is.
constexpr std::string_view kSecretPrefix = "sc_";

bool is_name_char(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' ||
         c == '_' || c == '-';
}

}  // namespace

std::string_view to_string(TokenState state) {
  switch (state) {
    case TokenState::active:
      return "active";
    case TokenState::expired:
      return "expired";
    case TokenState::revoked:
      return "revoked";
  }
  return "?";
}

TokenState state_of(const Token& token, base::WallTime now) {
  if (token.revoked_at) return TokenState::revoked;
  if (token.expires_at && *token.expires_at <= now) return TokenState::expired;
  return TokenState::active;
}

Caller to_caller(const Token& token) {
  return {"token " + token.name, token.role, token.ports, token.sha256};
}

base::Result<void> check_token_name(std::string_view name) {
  if (!name.empty() && name.size() <= kMaxName &&
      std::all_of(name.begin(), name.end(), is_name_char))
    return {};
  return base::Error{base::Errc::invalid,
                     "a token's name is 1 to 64 letters, digits, '.', '_' or "
                     "'-', not " +
                         base::quoted(name)};
}

base::Result<void> check_token(const Token& token) {
  if (auto named = check_token_name(token.name); !named) return named;
  if (token.role != Role::admin || !token.ports) return {};
  return base::Error{base::Errc::invalid,
                     "an admin may change the streams of all ports; ports go with operator"};
}

base::Result<std::string> make_token_secret() {
  const auto random = base::random_hex(kSecretBytes);
  if (!random) return base::Error{base::Errc::internal, "the host gives no random bytes"};
  return std::string(kSecretPrefix) + *random;
}

}  // namespace sc::core
