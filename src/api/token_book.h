#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
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
// An answer of the store is trusted for kTrusted. After that, and for any unknown secret, the store
// is asked again. So a new token counts at once and a revoked one for kTrusted at most. If the
// store does not answer within kAnswer, or answers with an error, known tokens count for kMostStale
// more; then none of the store's tokens counts. Outlives no answer of the store that reaches it.
// Control thread only.
class TokenBook {
 public:
  static constexpr std::chrono::milliseconds kTrusted{1000};
  static constexpr std::chrono::milliseconds kAnswer{300};
  static constexpr std::chrono::milliseconds kMostStale{60'000};
  // How many unknown secrets wait while the store does not answer; more are refused.
  static constexpr std::size_t kMostWaiting = 64;
  // Between two notes of the same token's use: each is a transaction with an fsync.
  static constexpr std::chrono::minutes kNoted{1};

  // Calls the function once, after the delay; not at all when it is destroyed first.
  using Later = std::function<void(std::chrono::milliseconds, base::Callback<void()>)>;

  TokenBook(core::TokenStore& store, const base::Clock& clock) : store_(store), clock_(clock) {}
  TokenBook(const TokenBook&) = delete;
  TokenBook& operator=(const TokenBook&) = delete;

  // Without it, known tokens wait for the store's answer without a limit.
  void set_later(Later later) { later_ = std::move(later); }

  // Replaces those of the credential file.
  void set_file_tokens(std::vector<core::Token> tokens) { file_tokens_ = std::move(tokens); }

  // Whose secret it is, and nullopt for one that is unknown, expired or revoked: which of them,
  // nobody can tell, not by the time either. unavailable: the store cannot be asked. Called once:
  // from inside when it is known from memory, else later; not at all when this dies first.
  using OnFound = base::Callback<void(base::Result<std::optional<core::Caller>>)>;
  void find(std::string_view secret, OnFound on_found);
  // Returns whether a token that was good before is still good. Asks the store again, whatever its
  // last answer was. As find() otherwise.
  void find_again(const std::string& sha256, OnFound on_found);

 private:
  struct Waiting {
    std::string sha256;
    OnFound on_found;
  };

  const core::Token* find_usable(const std::vector<core::Token>& among,
                                 const std::string& sha256) const;
  void wait(std::string sha256, OnFound on_found);
  void ask();
  bool is_slow() const;
  bool may_use_memory() const;
  void answer_from_memory();
  void on_tokens(base::Result<std::optional<core::TokenSnapshot>> answer);
  void answer(Waiting waiting, const std::optional<base::Error>& failure);
  void note_use(const core::Token& token);

  core::TokenStore& store_;
  const base::Clock& clock_;
  Later later_;
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
