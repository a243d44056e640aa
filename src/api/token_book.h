#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/callback.h"
#include "base/clock.h"
#include "base/result.h"
#include "core/caller.h"
#include "core/token.h"
#include "core/token_store.h"

namespace sc::api {

// The tokens that are good now, in memory: those of the store and those of the credential file.
// What the store said is trusted for kTrusted; then, and for any secret that is not known, it is
// asked anew, so a new token counts at once and a revoked one for kTrusted at most. Outlives no
// answer of the store that reaches it. Control thread only.
class TokenBook {
 public:
  static constexpr std::chrono::milliseconds kTrusted{1000};
  // Between two notes of the same token's use: each is a transaction with an fsync.
  static constexpr std::chrono::minutes kNoted{1};

  TokenBook(core::TokenStore& store, const base::Clock& clock) : store_(store), clock_(clock) {}
  TokenBook(const TokenBook&) = delete;
  TokenBook& operator=(const TokenBook&) = delete;

  // Replaces those of the credential file.
  void set_file_tokens(std::vector<core::Token> tokens) { file_tokens_ = std::move(tokens); }

  // Whose secret it is, and nullopt for one that is unknown, expired or revoked: which of them,
  // nobody can tell, not by the time either. unavailable: the store cannot be asked. Called once:
  // from inside when it is known from memory, else later; not at all when this dies first.
  using OnFound = base::Callback<void(base::Result<std::optional<core::Caller>>)>;
  void find(std::string_view secret, OnFound on_found);
  // Is the token with this digest, which was good before, so still? The store is asked, whatever it
  // said and when. As find() otherwise.
  void find_again(const std::string& sha256, OnFound on_found);

 private:
  struct Waiting {
    std::string sha256;
    OnFound on_found;
  };

  const core::Token* find_usable(const std::vector<core::Token>& among,
                                 const std::string& sha256) const;
  void ask();
  void on_tokens(base::Result<std::optional<core::TokenSnapshot>> answer);
  void answer(Waiting waiting, const std::optional<base::Error>& failure);
  void note_use(const core::Token& token);

  core::TokenStore& store_;
  const base::Clock& clock_;
  std::vector<core::Token> file_tokens_;
  std::vector<core::Token> tokens_;
  std::optional<std::int64_t> version_;    // of tokens_
  std::optional<base::Instant> fresh_at_;  // when the store was asked that gave them
  std::optional<base::Instant> asked_at_;  // while it is asked
  std::vector<Waiting> asked_;             // for the answer that is on its way
  std::vector<Waiting> waiting_;           // came since; that answer may be older than they are
  std::map<std::string, base::Instant> noted_;  // when the use of which digest was
};

}  // namespace sc::api
