#include "api/token_book.h"

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "api/fake_token_store.h"
#include "support/catch.h"
#include "support/manual_clock.h"

namespace sc::api {
namespace {

using std::chrono::milliseconds;
using Found = base::Result<std::optional<core::Caller>>;

struct Book {
  // The answer, if there is one without the store.
  std::optional<Found> ask(const std::string& secret) {
    answer.reset();
    book.find(secret, [this](Found found) { answer = std::move(found); });
    return answer;
  }
  // With the store.
  std::optional<core::Caller> find(const std::string& secret) {
    ask(secret);
    store.answer();
    REQUIRE(answer);
    REQUIRE(*answer);
    return **answer;
  }

  test::FakeTokenStore store;
  test::ManualClock clock;
  TokenBook book{store, clock};
  std::optional<Found> answer;
};

TEST_CASE("a token that was just made is known at once") {
  Book book;
  CHECK_FALSE(book.find("secret"));
  book.store.add("ci", "secret", core::Role::operator_);
  CHECK(book.find("secret")->name == "token ci");
}

TEST_CASE("a known token costs the store one question a second, and a load only on a change") {
  Book book;
  book.store.add("ci", "secret", core::Role::viewer);
  CHECK(book.find("secret"));
  for (int i = 0; i < 10; ++i) {
    book.clock.advance(milliseconds{100});
    CHECK(book.ask("secret"));
  }
  CHECK(book.store.asked == 1);
  book.clock.advance(milliseconds{1});
  CHECK_FALSE(book.ask("secret"));
  book.store.answer();
  CHECK(book.answer);
  CHECK(book.store.asked == 2);
  CHECK(book.store.loads == 1);
}

TEST_CASE("a revoked token is refused after a second at most") {
  Book book;
  book.store.add("ci", "secret", core::Role::viewer);
  CHECK(book.find("secret"));
  book.store.revoke("ci");
  book.clock.advance(TokenBook::kTrusted + milliseconds{1});
  CHECK_FALSE(book.find("secret"));
}

TEST_CASE("a token ends at its time, without anybody writing") {
  Book book;
  book.store.add("ci", "secret", core::Role::viewer).expires_at =
      book.clock.wall() + milliseconds{500};
  CHECK(book.find("secret"));
  book.clock.advance(milliseconds{499});
  CHECK(book.find("secret"));
  book.clock.advance(milliseconds{1});
  CHECK_FALSE(book.find("secret"));
}

TEST_CASE("unknown, expired and revoked take the same way through the store") {
  Book book;
  book.store.add("old", "old", core::Role::viewer).expires_at = book.clock.wall();
  book.store.add("gone", "gone", core::Role::viewer);
  book.store.revoke("gone");
  for (const char* secret : {"old", "gone", "unknown"}) {
    INFO(secret);
    const int asked = book.store.asked;
    CHECK_FALSE(book.ask(secret));
    book.store.answer();
    CHECK_FALSE(**book.answer);
    CHECK(book.store.asked == asked + 1);
  }
}

TEST_CASE("an answer of the store that was asked for before does not refuse a newer token") {
  Book book;
  std::optional<Found> first;
  std::optional<Found> second;
  book.book.find("unknown", [&](Found found) { first = std::move(found); });
  book.book.find("secret", [&](Found found) { second = std::move(found); });
  book.store.answer();
  CHECK(first);
  CHECK_FALSE(second);
  book.store.add("ci", "secret", core::Role::viewer);
  book.store.answer();
  REQUIRE(second);
  CHECK((**second)->name == "token ci");
}

TEST_CASE("a store that cannot be asked opens nothing, and the credential file's tokens work on") {
  Book book;
  book.store.add("ci", "secret", core::Role::viewer);
  CHECK(book.find("secret"));
  book.clock.advance(TokenBook::kMostStale + milliseconds{1});
  book.store.failure = base::Error{base::Errc::unavailable, "disk"};
  book.ask("secret");
  book.store.answer();
  REQUIRE(book.answer);
  CHECK(book.answer->error().code == base::Errc::unavailable);

  core::Token token;
  token.name = "file";
  token.sha256 = base::sha256_hex("from the file");
  book.book.set_file_tokens({token});
  REQUIRE(book.ask("from the file"));
  CHECK((**book.answer)->name == "token file");
  book.book.set_file_tokens({});
  CHECK_FALSE(book.ask("from the file"));
}

TEST_CASE(
    "a known token works from memory for a minute while the store fails, an unknown one never") {
  Book book;
  book.store.add("ci", "secret", core::Role::viewer);
  CHECK(book.find("secret"));
  book.store.failure = base::Error{base::Errc::unavailable, "disk"};
  book.clock.advance(TokenBook::kMostStale);
  book.ask("secret");
  book.store.answer();
  REQUIRE(book.answer);
  CHECK((**book.answer)->name == "token ci");
  book.ask("unknown");
  book.store.answer();
  REQUIRE(book.answer);
  CHECK(book.answer->error().code == base::Errc::unavailable);
}

TEST_CASE(
    "a known token waits a moment for a store that does not answer, then counts from memory") {
  Book book;
  std::vector<base::Callback<void()>> due;
  book.book.set_later([&](milliseconds delay, base::Callback<void()> function) {
    CHECK(delay == TokenBook::kAnswer);
    due.push_back(std::move(function));
  });
  book.store.add("ci", "secret", core::Role::viewer);
  CHECK(book.find("secret"));
  due.clear();
  book.clock.advance(TokenBook::kTrusted + milliseconds{1});
  CHECK_FALSE(book.ask("secret"));
  book.clock.advance(TokenBook::kAnswer);
  REQUIRE(due.size() == 1);
  due.front()();
  REQUIRE(book.answer);
  CHECK((**book.answer)->name == "token ci");

  CHECK(book.ask("secret"));  // the store is known to be slow
  CHECK_FALSE(book.ask("unknown"));
  book.clock.advance(TokenBook::kMostStale);
  CHECK_FALSE(book.ask("secret"));
  book.store.answer();
  book.store.answer();
  REQUIRE(book.answer);
  CHECK((**book.answer)->name == "token ci");
}

TEST_CASE("while the store does not answer, a limited number of unknown secrets waits") {
  Book book;
  CHECK_FALSE(book.ask("unknown"));
  book.clock.advance(TokenBook::kAnswer);
  std::size_t refused = 0;
  for (std::size_t i = 0; i < TokenBook::kMostWaiting + 10; ++i)
    book.book.find("unknown", [&](const Found& found) { refused += found ? 0 : 1; });
  CHECK(refused == 10);
}

TEST_CASE("the use of a token is noted once a minute, whatever is asked with it") {
  Book book;
  book.store.add("ci", "secret", core::Role::viewer);
  book.store.add("other", "other", core::Role::viewer);
  for (int i = 0; i < 100; ++i) {
    CHECK(book.find("secret"));
    book.clock.advance(milliseconds{500});
  }
  CHECK(book.find("other"));
  CHECK_FALSE(book.find("unknown"));
  CHECK(book.store.noted ==
        std::vector<std::string>{base::sha256_hex("secret"), base::sha256_hex("other")});
  book.clock.advance(milliseconds{10'000});
  CHECK(book.find("secret"));
  CHECK(book.store.noted.size() == 3);
}

}  // namespace
}  // namespace sc::api
