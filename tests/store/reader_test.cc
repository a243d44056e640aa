// Other programs read the database: while the service writes, and when it is stopped.
#include <SQLiteCpp/Column.h>
#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Statement.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>

#include "store/fixture.h"
#include "store/sqlite_store.h"
#include "support/catch.h"

namespace sc::test {
namespace {

using base::Result;
using store::SqliteStore;

constexpr uid_t kReader = 65534;
constexpr gid_t kGroup = 54321;

std::string commit(SqliteStore& store, ControlThread& control, std::uint16_t port) {
  std::string answer;
  store.commit(created(port),
               [&answer](Result<void> saved) { answer = saved ? "saved" : saved.error().message; });
  control.run();
  return answer;
}

TEST_CASE("a reader sees one moment of the database while the service goes on writing") {
  const TempFolder folder;
  ControlThread control;
  auto store = SqliteStore::open(folder / "s.db", control.post());
  REQUIRE(store);
  REQUIRE(commit(**store, control, 9000) == "saved");
  SQLite::Database reader(folder / "s.db", SQLite::OPEN_READONLY);
  const auto count = [&reader] {
    return reader.execAndGet("SELECT count(*) FROM mappings").getInt();
  };
  reader.exec("BEGIN");
  CHECK(count() == 1);
  for (std::uint16_t port = 9001; port < 9050; ++port)
    REQUIRE(commit(**store, control, port) == "saved");
  CHECK(count() == 1);
  reader.exec("COMMIT");
  CHECK(count() == 50);
}

TEST_CASE("the service stops at once although a reader is in the middle of something") {
  const TempFolder folder;
  ControlThread control;
  auto store = SqliteStore::open(folder / "s.db", control.post());
  REQUIRE(store);
  REQUIRE(commit(**store, control, 9000) == "saved");
  SQLite::Database reader(folder / "s.db", SQLite::OPEN_READONLY);
  SQLite::Statement rows(reader, "SELECT port FROM streams");
  REQUIRE(rows.executeStep());
  REQUIRE(commit(**store, control, 9001) == "saved");
  const auto begun = std::chrono::steady_clock::now();
  store->reset();
  CHECK(std::chrono::steady_clock::now() - begun <
        std::chrono::seconds(4));  // a lock's patience: 5
  rows.reset();
  CHECK(reader.execAndGet("SELECT count(*) FROM streams").getInt() == 2);
}

TEST_CASE("a user of the group reads while the service runs, when it is stopped and after a crash",
          "[root-reader]") {
  REQUIRE(::getuid() == 0);  // to become another user
  const TempFolder folder;
  const std::string state = folder / "state";
  const std::string file = state + "/s.db";
  std::filesystem::create_directory(state);
  REQUIRE(::chown(state.c_str(), 0, kGroup) == 0);
  REQUIRE(::chmod(state.c_str(), 02750) == 0);  // new files get the group
  ReaderProcess reader(file, kReader, kGroup);
  ReaderProcess stranger(file, kReader, kReader);
  ReaderProcess after_crash(file + ".crashed", kReader, kGroup);
  const std::string ports =
      "SELECT group_concat(port) FROM (SELECT port FROM mappings ORDER BY port)";

  ControlThread control;
  auto store = SqliteStore::open(file, control.post());
  REQUIRE(store);
  CHECK(mode_of(file) == 0640);
  CHECK(reader.ask(ports).empty());
  REQUIRE(commit(**store, control, 9000) == "saved");
  CHECK(reader.ask(ports) == "9000");
  REQUIRE(commit(**store, control, 9001) == "saved");
  CHECK(reader.ask(ports) == "9000,9001");
  CHECK(reader.ask("SELECT count(*) FROM mapping_history") == "2");
  CHECK_THAT(stranger.ask(ports), Catch::StartsWith("error: "));

  // As after a kill -9: what is committed is in the -wal alone. Copied by a child, because closing
  // a descriptor here would drop SQLite's locks.
  in_child([&] {
    ::umask(0);
    for (const char* suffix : {"", "-wal", "-shm"}) {
      write_bytes(file + ".crashed" + suffix, read_bytes(file + suffix));
      ::chmod((file + ".crashed" + suffix).c_str(), 0640);
    }
    return "";
  });
  CHECK(after_crash.ask(ports) == "9000,9001");

  store->reset();
  CHECK(reader.ask(ports) == "9000,9001");
  auto again = SqliteStore::open(file, control.post());
  REQUIRE(again);
  REQUIRE(commit(**again, control, 9002) == "saved");
  CHECK(reader.ask(ports) == "9000,9001,9002");
}

}  // namespace
}  // namespace sc::test
