#include "store/database.h"

#include <SQLiteCpp/Database.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <optional>

#include "store/fixture.h"
#include "store/migrations.h"
#include "support/catch.h"

namespace sc::test {
namespace {

using store::Database;

class Umask {
 public:
  explicit Umask(mode_t mask) : before_(::umask(mask)) {}
  Umask(const Umask&) = delete;
  Umask& operator=(const Umask&) = delete;
  ~Umask() { ::umask(before_); }

 private:
  mode_t before_;
};

TEST_CASE("a new database and its folder are open to the group alone, whatever the umask") {
  const TempFolder folder;
  const mode_t mask = GENERATE(as<mode_t>{}, 0, 077, 0777);
  const Umask umask(mask);
  const std::string file = folder / "above/state/stream-conductor.db";
  auto database = Database::open(file);
  REQUIRE(database);
  CHECK(mode_of(folder / "above") == 0750);
  CHECK(mode_of(folder / "above/state") == 0750);
  CHECK(mode_of(file) == 0640);
  CHECK(mode_of(file + "-wal") == 0640);
  CHECK(mode_of(file + "-shm") == 0640);
  CHECK(mode_of(folder / "above/state/stream-conductor.lock") <= 0640);
}

TEST_CASE("the modes of a folder and a file that exist are left alone") {
  const TempFolder folder;
  const std::string file = folder / "s.db";
  write_bytes(file, "");
  REQUIRE(::chmod(file.c_str(), 0600) == 0);
  REQUIRE(Database::open(file));
  CHECK(mode_of(file) == 0600);
  CHECK(mode_of(folder.path().string()) == 0711);
}

TEST_CASE("a database is opened so that a commit survives a loss of power") {
  const TempFolder folder;
  const ConnectionSpy spy;
  auto opened = Database::open(folder / "s.db");
  REQUIRE(opened);
  CHECK(ask(spy.writer(), "PRAGMA journal_mode") == "wal");
  CHECK(ask(spy.writer(), "PRAGMA synchronous") == "2");  // FULL
  CHECK(ask(spy.writer(), "PRAGMA foreign_keys") == "1");
  CHECK(ask(spy.writer(), "PRAGMA wal_autocheckpoint") == "0");  // see LogKeeper
  CHECK(ask(spy.writer(), "PRAGMA journal_size_limit") == "16777216");
  CHECK(ask(spy.writer(), "PRAGMA application_id") == std::to_string(store::kApplicationId));
  CHECK(ask(spy.writer(), "PRAGMA user_version") ==
        std::to_string(store::embedded_migrations().size()));
}

TEST_CASE("a log that has grown much is copied before its time, and once beside a reader") {
  const TempFolder folder;
  const std::string file = folder / "s.db";
  store::LogStats stats;
  auto opened = Database::open(file);
  REQUIRE(opened);
  Database& database = **opened;
  std::uint16_t port = 9000;
  const auto grow = [&] {
    const std::uint16_t most = port + 2000;
    while (!database.has_much_log() && port < most) REQUIRE(commit(database, created(port++)));
    CHECK(database.has_much_log());
  };
  database.keep_log_short(stats);
  CHECK_FALSE(database.has_much_log());
  grow();
  std::optional<SQLite::Database> shell;
  if (GENERATE(false, true)) {
    shell.emplace(file);
    shell->exec("BEGIN");
    shell->execAndGet("SELECT count(*) FROM streams");
    REQUIRE(commit(database, created(port++)));
  }
  database.keep_log_short(stats);
  CHECK_FALSE(database.has_much_log());
  CHECK((stats.waiting_bytes > 0) == shell.has_value());
  grow();
}

TEST_CASE("a log that begins again with as many pages is not taken for one without commits") {
  const TempFolder folder;
  const std::string file = folder / "s.db";
  store::LogStats stats;
  auto opened = Database::open(file);
  REQUIRE(opened);
  for (int i = 0; i < 3; ++i) (*opened)->keep_log_short(stats);
  CHECK(std::filesystem::file_size(file + "-wal") == 0);
  for (std::uint16_t port = 9000; port < 9008; ++port) {
    REQUIRE(commit(**opened, created(port)));
    (*opened)->keep_log_short(stats);
    CHECK(std::filesystem::file_size(file + "-wal") > 0);
  }
  (*opened)->keep_log_short(stats);
  CHECK(std::filesystem::file_size(file + "-wal") == 0);
}

TEST_CASE("a new database has the tables and views that the manual names") {
  const TempFolder folder;
  const std::string file = folder / "s.db";
  REQUIRE(Database::open(file));
  CHECK(query(file,
              "SELECT type, name FROM sqlite_master WHERE type IN ('table', 'view')"
              " ORDER BY type, name") ==
        std::vector<std::string>{"table|api_tokens", "table|history_start",
                                 "table|schema_migrations", "table|stream_events", "table|streams",
                                 "table|traffic", "view|mapping_history", "view|mapping_periods",
                                 "view|mappings", "view|tokens"});
}

TEST_CASE("an existing file without a byte and a database without a table are new databases") {
  const TempFolder folder;
  const std::string file = folder / "s.db";
  SECTION("no byte") { write_bytes(file, ""); }
  SECTION("no table") { execute(file, "PRAGMA journal_mode = WAL"); }
  REQUIRE(Database::open(file));
  CHECK(query(file, "SELECT count(*) FROM streams") == std::vector<std::string>{"0"});
}

TEST_CASE("a path that looks like a URI or like options is only a path") {
  const TempFolder folder;
  const std::string file = folder / "a?mode=memory&b%41 #ü/file:s.db";
  REQUIRE(Database::open(file));
  REQUIRE(Database::open(file));  // the second one inspects it
  CHECK(std::filesystem::file_size(file) > 0);
}

TEST_CASE("a relative path without a folder is a file in the working folder") {
  const TempFolder folder;
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  const bool opened = Database::open("s.db").has_value();
  std::filesystem::current_path(before);
  CHECK(opened);
  CHECK(std::filesystem::exists(folder / "s.db"));
}

TEST_CASE("after closing, everything is in the file and -wal and -shm stay for readers") {
  const TempFolder folder;
  const std::string file = folder / "s.db";
  {
    auto database = Database::open(file);
    REQUIRE(database);
    REQUIRE(commit(**database, created(9000)));
  }
  CHECK(std::filesystem::file_size(file + "-wal") == 0);
  CHECK(std::filesystem::exists(file + "-shm"));
  std::filesystem::copy_file(file, folder / "alone.db");  // without its -wal
  CHECK(query(folder / "alone.db", "SELECT port FROM streams") == std::vector<std::string>{"9000"});
}

TEST_CASE("a second service on the same database is refused and told by whom") {
  const TempFolder folder;
  const std::string file = folder / "s.db";
  auto first = Database::open(file);
  REQUIRE(first);
  const auto refused = [&file] {
    auto second = Database::open(file);
    return second ? std::string("opened") : second.error().message;
  };
  const std::string why = "another stream-conductor uses " + folder.path().string();
  CHECK_THAT(refused(), Catch::StartsWith(why));
  CHECK_THAT(in_child(refused), Catch::StartsWith(why));
  first->reset();
  CHECK(refused() == "opened");
}

}  // namespace
}  // namespace sc::test
