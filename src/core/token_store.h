#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/callback.h"
#include "base/clock.h"
#include "base/result.h"
#include "core/token.h"

namespace sc::core {

// All tokens at one moment, those that expired or were revoked too.
struct TokenSnapshot {
  std::int64_t version = 0;  // says only whether somebody else has written since
  std::vector<Token> tokens;
};

// Where tokens are kept. Others write there while we run (`stream-conductor token`, sqlite3), so it
// is asked again and again. Called from the control thread; its answers come there too.
class TokenStore {
 public:
  virtual ~TokenStore() = default;

  // nullopt: nobody has written since `known`, a version of an earlier answer. Called once, later;
  // not at all when the store dies first.
  using OnTokens = base::Callback<void(base::Result<std::optional<TokenSnapshot>>)>;
  virtual void load_tokens(std::optional<std::int64_t> known, OnTokens on_done) = 0;

  // Written sometime; a failure is logged.
  virtual void note_token_use(const std::string& sha256, base::WallTime at) = 0;
};

}  // namespace sc::core
