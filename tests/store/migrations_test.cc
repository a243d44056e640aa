#include "store/migrations.h"

#include "store/database.h"
#include "store/fixture.h"
#include "support/catch.h"

namespace sc::test {
namespace {

using store::Database;
using store::Migration;
using Known = std::vector<Migration>;

const Migration kFirst = store::embedded_migrations().front();
const Migration kSecond{"0002_second.sql", "ALTER TABLE streams ADD COLUMN note TEXT;"};

std::string open(const std::string& file, const Known& known) {
  auto opened = Database::open(file, known);
  return opened ? "" : opened.error().message;
}

TEST_CASE("SHA-256 is the one of FIPS 180-4") {
  CHECK(store::sha256_hex("abc") ==
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_CASE("the embedded migrations are sorted by name and begin with the streams") {
  const auto all = store::embedded_migrations();
  REQUIRE(!all.empty());
  CHECK(all.front().name == "0001_streams.sql");
  for (std::size_t i = 1; i < all.size(); ++i) CHECK(all[i - 1].name < all[i].name);
}

TEST_CASE("each applied migration is recorded with its SHA-256 and time") {
  const TempFolder folder;
  const std::string file = folder / "s.db";
  REQUIRE(Database::open(file));
  std::vector<std::string> expected;
  for (const Migration& each : store::embedded_migrations())
    expected.push_back(std::string(each.name) + "|" + store::sha256_hex(each.sql));
  CHECK(query(file, "SELECT name, sha256 FROM schema_migrations ORDER BY name") == expected);
  CHECK(query(file,
              "SELECT DISTINCT applied_at LIKE '20__-__-__T__:__:__.___Z'"
              " FROM schema_migrations") == std::vector<std::string>{"1"});
}

TEST_CASE("opening again applies what is new and nothing twice") {
  const TempFolder folder;
  const std::string file = folder / "s.db";
  REQUIRE(open(file, {kFirst}).empty());
  execute(file, "INSERT INTO streams (port, backend) VALUES (7, 'x:1')");
  REQUIRE(open(file, {kFirst, kSecond}).empty());
  REQUIRE(open(file, {kFirst, kSecond}).empty());
  CHECK(query(file, "SELECT port, note FROM streams") == std::vector<std::string>{"7|"});
  CHECK(query(file, "PRAGMA user_version") == std::vector<std::string>{"2"});
  CHECK(query(file, "SELECT name FROM schema_migrations ORDER BY name") ==
        std::vector<std::string>{"0001_streams.sql", "0002_second.sql"});
}

TEST_CASE("a migration that fails leaves the state before it") {
  const TempFolder folder;
  const std::string file = folder / "s.db";
  const Migration broken{"0002_broken.sql",
                         "CREATE TABLE two (a); INSERT INTO nowhere VALUES (1);"};
  CHECK_THAT(open(file, {kFirst, broken}), Catch::Contains("0002_broken.sql") &&
                                               Catch::Contains("nowhere") && Catch::Contains(file));
  CHECK(query(file, "SELECT name FROM sqlite_master WHERE name = 'two'").empty());
  CHECK(query(file, "PRAGMA user_version") == std::vector<std::string>{"1"});
  CHECK(open(file, {kFirst, kSecond}).empty());
}

TEST_CASE("a database with other migrations than ours is refused and keeps its bytes") {
  const TempFolder folder;
  const std::string file = folder / "s.db";
  REQUIRE(open(file, {kFirst, kSecond}).empty());
  const std::string bytes = read_bytes(file);
  const auto refused = [&](const Known& known, const std::string& why) {
    const std::string message = open(file, known);
    CAPTURE(message);
    CHECK(message.find("the database " + file + " ") == 0);
    CHECK(message.find(why) != std::string::npos);
    CHECK(read_bytes(file) == bytes);
  };
  SECTION("newer") {
    refused({kFirst},
            "was written by a newer stream-conductor: it is at schema version 2, this"
            " one knows 1 migration");
  }
  SECTION("changed") {
    refused({{kFirst.name, "CREATE TABLE streams (a);"}, kSecond},
            "has the migration \"0001_streams.sql\" applied in another form");
  }
  SECTION("unknown") {
    refused({kFirst, {"0002_other.sql", kSecond.sql}},
            "has a migration that this stream-conductor does not know, \"0002_second.sql\"");
  }
  SECTION("one missing in between") {
    refused({kFirst, {"0001_threads.sql", "SELECT 1;"}, kSecond}, "lacks the migration");
  }
}

}  // namespace
}  // namespace sc::test
