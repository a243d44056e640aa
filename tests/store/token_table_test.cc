#include <unistd.h>

#include <future>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/digest.h"
#include "core/token.h"
#include "store/fixture.h"
#include "store/sqlite_store.h"
#include "store/token_access.h"
#include "support/catch.h"

namespace sc::test {
namespace {

using store::SqliteStore;
using store::TokenAccess;

core::Token token(const std::string& name, core::Role role = core::Role::operator_) {
  core::Token made;
  made.name = name;
  made.role = role;
  made.sha256 = base::sha256_hex("the secret of " + name);
  made.created_at = minute(0);
  return made;
}

// The first use of a file makes the database, as the service does.
std::unique_ptr<TokenAccess> open(const std::string& file) {
  if (!std::filesystem::exists(file)) REQUIRE(store::Database::open(file));
  auto opened = TokenAccess::open(file);
  if (!opened) FAIL(opened.error().message);
  return std::move(*opened);
}

TEST_CASE("without a database there is no access to tokens, and nothing is made") {
  const TempFolder folder;
  for (const std::string& file : {folder / "s.db", folder / "none/s.db"}) {
    const auto refused = TokenAccess::open(file);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == base::Errc::not_found);
    CHECK_THAT(
        refused.error().message,
        Catch::StartsWith("the folder " + std::filesystem::path(file).parent_path().string() +
                          " has no database, s.db: check STATE_DIRECTORY"));
  }
  CHECK(std::filesystem::is_empty(folder.path()));
  write_bytes(folder / "empty.db", "");
  CHECK_FALSE(TokenAccess::open(folder / "empty.db"));
  CHECK(read_bytes(folder / "empty.db").empty());
}

TEST_CASE("tokens come back as they were written") {
  const TempFolder folder;
  const auto access = open(folder / "s.db");
  core::Token scoped = token("ci");
  scoped.ports = *core::PortRanges::parse("9000-9004,9009");
  scoped.expires_at = minute(90);
  REQUIRE(access->add(token("boss", core::Role::admin)));
  REQUIRE(access->add(scoped));
  CHECK(*access->list() == std::vector<core::Token>{token("boss", core::Role::admin), scoped});
}

TEST_CASE("a token's name is taken until it is revoked, and the row stays") {
  const TempFolder folder;
  const auto access = open(folder / "s.db");
  REQUIRE(access->add(token("ci")));
  core::Token second = token("ci");
  second.sha256 = base::sha256_hex("another");
  const auto taken = access->add(second);
  REQUIRE_FALSE(taken);
  CHECK(taken.error().code == base::Errc::conflict);

  REQUIRE(access->revoke("ci", minute(5)));
  CHECK(access->revoke("ci", minute(6)).error().code == base::Errc::not_found);
  REQUIRE(access->add(second));
  const auto all = *access->list();
  REQUIRE(all.size() == 2);
  CHECK(all[0].revoked_at == minute(5));
  CHECK_FALSE(all[1].revoked_at);
}

TEST_CASE("the same secret is no second token") {
  const TempFolder folder;
  const auto access = open(folder / "s.db");
  REQUIRE(access->add(token("ci")));
  core::Token twin = token("ci");
  twin.name = "twin";
  CHECK_FALSE(access->add(twin));
}

TEST_CASE("the schema refuses tokens that the service could not judge") {
  const TempFolder folder;
  const std::string file = folder / "s.db";
  REQUIRE(open(file)->add(token("ci")));
  const std::string digest(64, 'a');
  const std::string rows[] = {
      "('a b', 'viewer', NULL, '" + digest + "', NULL)",
      "('a', 'root', NULL, '" + digest + "', NULL)",
      "('a', 'admin', '9000', '" + digest + "', NULL)",
      "('a', 'viewer', '', '" + digest + "', NULL)",
      "('a', 'viewer', NULL, '" + std::string(64, 'A') + "', NULL)",
      "('a', 'viewer', NULL, 'abc', NULL)",
      "('a', 'viewer', NULL, '" + digest + "', 'tomorrow')",
      "('ci', 'viewer', NULL, '" + digest + "', NULL)",
  };
  const std::string insert =
      "INSERT INTO api_tokens (name, role, ports, sha256, expires_at) VALUES ";
  for (const std::string& row : rows) {
    INFO(row);
    CHECK_THROWS(execute(file, insert + row));
  }
  CHECK_NOTHROW(execute(file, insert + "('a', 'viewer', NULL, '" + digest + "', NULL)"));
}

TEST_CASE("what was written by hand and cannot be read gives less, never more") {
  const TempFolder folder;
  const std::string file = folder / "s.db";
  const auto access = open(file);
  execute(file,
          "INSERT INTO api_tokens (name, role, ports, sha256, expires_at) VALUES"
          " ('odd', 'operator', 'all of them', '" +
              std::string(64, 'b') + "', '2027-02-31T00:00:00.000Z')");
  const auto all = *access->list();
  REQUIRE(all.size() == 1);
  REQUIRE(all[0].ports);
  CHECK(all[0].ports->size() == 0);
  CHECK(core::state_of(all[0], minute(0)) == core::TokenState::expired);
}

TEST_CASE("a view shows the tokens to people") {
  const TempFolder folder;
  const std::string file = folder / "s.db";
  const auto access = open(file);
  core::Token old = token("old");
  old.expires_at = minute(-1000000);
  REQUIRE(access->add(old));
  REQUIRE(access->add(token("ci")));
  REQUIRE(access->add(token("gone")));
  REQUIRE(access->revoke("gone", minute(1)));
  CHECK(query(file, "SELECT name, role, ports, state FROM tokens") ==
        std::vector<std::string>{"ci|operator|all|active", "gone|operator|all|revoked",
                                 "old|operator|all|expired"});
}

TEST_CASE("beside a store that has the database, tokens are written, and it sees that they were") {
  const TempFolder folder;
  const std::string file = folder / "s.db";
  ControlThread control;
  auto store = SqliteStore::open(file, control.post());
  REQUIRE(store);
  std::optional<base::Result<std::optional<core::TokenSnapshot>>> answer;
  const auto ask = [&](std::optional<std::int64_t> known) {
    answer.reset();
    (*store)->load_tokens(known, [&](auto given) { answer = std::move(given); });
    control.run();
    REQUIRE(answer);
    REQUIRE(*answer);
    return **answer;
  };
  const auto empty = ask(std::nullopt);
  REQUIRE(empty);
  CHECK(empty->tokens.empty());
  CHECK_FALSE(ask(empty->version));

  REQUIRE(open(file)->add(token("ci")));
  const auto one = ask(empty->version);
  REQUIRE(one);
  CHECK(one->tokens == std::vector<core::Token>{token("ci")});

  // What the store writes itself is a change to its reader as well.
  (*store)->note_token_use(token("ci").sha256, minute(7));
  std::promise<void> noted;
  (*store)->run([&] { noted.set_value(); });
  noted.get_future().wait();
  CHECK(query(file, "SELECT last_used_at FROM api_tokens") ==
        std::vector<std::string>{base::to_iso8601(minute(7))});
  const auto used = ask(one->version);
  REQUIRE(used);
  CHECK(used->tokens.front().last_used_at == minute(7));
}

TEST_CASE("a database that is behind is left to the service that has it") {
  const TempFolder folder;
  const std::string file = folder / "s.db";
  const auto all = store::embedded_migrations();
  const auto service = store::Database::open(file, all.first(1));
  REQUIRE(service);
  const auto refused = TokenAccess::open(file);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == base::Errc::conflict);
  CHECK_THAT(refused.error().message, Catch::Contains("restart the service first"));
}

}  // namespace
}  // namespace sc::test
