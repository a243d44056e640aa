#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/digest.h"
#include "core/token_store.h"

namespace sc::test {

// A TokenStore in memory that answers when the test says so.
class FakeTokenStore final : public core::TokenStore {
 public:
  void load_tokens(std::optional<std::int64_t> known, OnTokens on_done) override {
    waiting_.push_back({known, std::move(on_done)});
    ++asked;
  }
  void note_token_use(const std::string& sha256, base::WallTime) override {
    noted.push_back(sha256);
  }

  // Somebody else writes.
  core::Token& add(const std::string& name, const std::string& secret, core::Role role) {
    ++version_;
    core::Token& token = tokens_.emplace_back();
    token.name = name;
    token.role = role;
    token.sha256 = base::sha256_hex(secret);
    return token;
  }
  void revoke(const std::string& name) {
    ++version_;
    for (core::Token& token : tokens_)
      if (token.name == name) token.revoked_at = base::WallTime{};
  }

  // Answers what was asked before this call, as it is now.
  void answer() {
    for (Asked& each : std::exchange(waiting_, {})) {
      if (failure) {
        each.on_done(*failure);
      } else if (each.known == version_) {
        each.on_done(std::optional<core::TokenSnapshot>());
      } else {
        ++loads;
        each.on_done(std::optional(core::TokenSnapshot{version_, tokens_}));
      }
    }
  }

  int asked = 0;
  int loads = 0;
  std::vector<std::string> noted;
  std::optional<base::Error> failure;

 private:
  struct Asked {
    std::optional<std::int64_t> known;
    OnTokens on_done;
  };
  std::deque<Asked> waiting_;
  std::int64_t version_ = 1;
  std::vector<core::Token> tokens_;
};

}  // namespace sc::test
