#include "core/token.h"

#include "base/digest.h"
#include "support/catch.h"

namespace sc::core {
namespace {

using std::chrono::milliseconds;

const base::WallTime kNow{milliseconds{1'793'541'780'000}};

TEST_CASE("a token is good until the moment at which it expires, or is revoked") {
  Token token;
  CHECK(state_of(token, kNow) == TokenState::active);
  token.expires_at = kNow + milliseconds{1};
  CHECK(state_of(token, kNow) == TokenState::active);
  token.expires_at = kNow;
  CHECK(state_of(token, kNow) == TokenState::expired);
  token.expires_at.reset();
  token.revoked_at = kNow + milliseconds{1000};  // by a clock that goes before ours
  CHECK(state_of(token, kNow) == TokenState::revoked);
}

TEST_CASE("names of tokens are plain words") {
  for (const char* name : {"ci", "deploy-2.example_x", "A"}) CHECK(check_token_name(name));
  for (const std::string& name : {std::string(), std::string("a b"), std::string("a\n"),
                                  std::string("\xc3\xa9"), std::string(65, 'a')})
    CHECK_FALSE(check_token_name(name));
}

TEST_CASE("an admin has no ports of its own") {
  Token token;
  token.name = "boss";
  token.role = Role::admin;
  CHECK(check_token(token));
  token.ports = *PortRanges::parse("9000");
  CHECK_FALSE(check_token(token));
  token.role = Role::operator_;
  CHECK(check_token(token));
}

TEST_CASE("a secret says what it is and has 256 bits that differ each time") {
  const std::string one = *make_token_secret();
  const std::string two = *make_token_secret();
  CHECK(one.size() == 67);
  CHECK(one.starts_with("sc_"));
  CHECK(base::is_sha256_hex(one.substr(3)));  // 64 hexadecimal digits
  CHECK(one != two);
}

TEST_CASE("who shows a token is called by its name") {
  Token token;
  token.name = "ci";
  token.role = Role::operator_;
  token.ports = *PortRanges::parse("9000");
  CHECK(to_caller(token) ==
        Caller{"token ci", Role::operator_, *PortRanges::parse("9000"), token.sha256});
}

}  // namespace
}  // namespace sc::core
