// The database's files are replaced while the service runs, and it opens them again.
#include <SQLiteCpp/Column.h>
#include <SQLiteCpp/Database.h>

#include <filesystem>
#include <optional>
#include <string>

#include "store/fixture.h"
#include "store/restoration.h"
#include "store/sqlite_store.h"
#include "support/catch.h"

namespace sc::test {
namespace {

using base::Result;
using store::SqliteStore;

// A store with two streams, a copy of the database with the first of them, and another program
// that has read the database and has it open.
struct Reopened {
  Reopened() {
    auto opened = SqliteStore::open(file, control.post());
    REQUIRE(opened);
    store = std::move(*opened);
    REQUIRE(commit(9000) == "saved");
    execute(file, "VACUUM INTO '" + copy + "'");
    program.emplace(file, SQLite::OPEN_READONLY);
    REQUIRE(rows_of_program() == 1);
  }
  std::string commit(std::uint16_t port) {
    std::string answer;
    store->commit(created(port),
                  [&](Result<void> saved) { answer = saved ? "saved" : saved.error().message; });
    control.run_until([&] { return !answer.empty(); });
    return answer;
  }
  // `opened`, `same`, or why not.
  std::string reopen() {
    std::string answer;
    store->reopen([&](Result<bool> opened) {
      answer = !opened ? opened.error().message : *opened ? "opened" : "same";
    });
    control.run_until([&] { return !answer.empty(); });
    return answer;
  }
  // The number of events, or why they cannot be read.
  std::string history() {
    std::string answer;
    store->history({}, [&](Result<core::HistoryPage> page) {
      answer = page ? std::to_string(page->events.size()) : page.error().message;
    });
    control.run_until([&] { return !answer.empty(); });
    return answer;
  }
  int rows_of_program() { return program->execAndGet("SELECT count(*) FROM streams").getInt(); }
  std::string ports() {
    return query(file, "SELECT group_concat(port) FROM (SELECT port FROM streams ORDER BY port)")
        .front();
  }

  const TempFolder folder;
  const TempFolder elsewhere;
  const std::string file = folder / "s.db";
  const std::string copy = elsewhere / "copy.db";
  ControlThread control;
  std::unique_ptr<SqliteStore> store;
  std::optional<SQLite::Database> program;
};

TEST_CASE("a log that was removed is not given up while a reader keeps it from being copied") {
  Reopened test;
  test.program->exec("BEGIN");
  REQUIRE(test.rows_of_program() == 1);
  REQUIRE(test.commit(9001) == "saved");
  REQUIRE(test.history() == "2");  // the reader has opened the log
  std::filesystem::remove(test.file + "-wal");
  CHECK_THAT(test.commit(9002), Catch::Contains("-wal was removed"));
  CHECK_THAT(test.reopen(), Catch::Contains("a program that reads the former database"));
  CHECK(test.history() == "2");
  test.program.reset();
  CHECK(test.reopen() == "opened");
  CHECK(test.ports() == "9000,9001");
  CHECK(test.commit(9002) == "saved");
}

TEST_CASE("a copy is opened although a reader keeps the log of the former database in use") {
  Reopened test;
  test.program->exec("BEGIN");
  REQUIRE(test.rows_of_program() == 1);
  REQUIRE(test.commit(9001) == "saved");
  std::filesystem::rename(test.copy, test.file);
  CHECK(test.reopen() == "opened");
  CHECK(test.ports() == "9000");
  CHECK(test.commit(9003) == "saved");
  CHECK(std::filesystem::file_size(test.file + "-wal.former") > 0);
  CHECK(test.history() == "2");
  test.program.reset();
  CHECK(test.commit(9004) == "saved");
  test.store.reset();
  CHECK(test.ports() == "9000,9003,9004");
  CHECK(query(test.file, "PRAGMA integrity_check") == std::vector<std::string>{"ok"});
}

TEST_CASE("a copy that is opened does not share the log with an idle program") {
  Reopened test;
  REQUIRE(test.commit(9001) == "saved");
  const auto former = store::identify(test.file + "-shm");
  std::filesystem::rename(test.copy, test.file);
  CHECK(test.reopen() == "opened");
  CHECK(store::identify(test.file + "-shm") != former);
  CHECK(test.commit(9003) == "saved");
  CHECK(test.rows_of_program() == 2);
  CHECK(test.ports() == "9000,9003");
}

TEST_CASE("an empty log of the former database that a program uses with the new one stays") {
  const TempFolder folder;
  const std::string file = folder / "s.db";
  for (const char* name : {"s.db", "copy.db"}) REQUIRE(store::Database::open(folder / name));
  REQUIRE(store::Database::open(file));  // the record names it
  std::filesystem::rename(folder / "copy.db", file);
  REQUIRE(store::has_foreign_log(file));
  const bool is_used = GENERATE(true, false);
  // In another process, as a process does not see its own locks.
  const std::string seen = in_child([&]() -> std::string {
    std::optional<SQLite::Database> shell;
    if (is_used) {
      shell.emplace(file, SQLite::OPEN_READONLY);
      shell->execAndGet("SELECT count(*) FROM sqlite_master");
    }
    return in_child([&]() -> std::string {
      if (!store::set_foreign_log_aside(file)) return "failed";
      return std::filesystem::exists(file + "-wal") ? "stays" : "removed";
    });
  });
  CHECK(seen == (is_used ? "stays" : "removed"));
}

}  // namespace
}  // namespace sc::test
