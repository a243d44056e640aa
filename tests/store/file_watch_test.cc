#include "store/file_watch.h"

#include <SQLiteCpp/Database.h>
#include <unistd.h>

#include <functional>

#include "store/database_copy.h"
#include "store/fixture.h"
#include "support/catch.h"

namespace sc::test {
namespace {

using store::Database;

constexpr std::size_t kBefore = 20;  // streams of the opened database
constexpr std::size_t kInCopy = 5;   // and of the copy that takes its place

// A database that is open, with a log, and a copy of an earlier state of it.
class OpenDatabase {
 public:
  OpenDatabase() {
    auto opened = Database::open(file);
    REQUIRE(opened);
    database = std::move(*opened);
    create(9000, kInCopy);
    auto reader = store::DatabaseReader::open(file);
    REQUIRE(reader);
    auto made = store::PartialCopy::start(copy);
    REQUIRE(made);
    REQUIRE(made->fill(**reader, [](std::uint64_t, std::uint64_t) { return true; }));
    REQUIRE(made->put_in_place(false));
    create(9000 + kInCopy, kBefore - kInCopy);
  }

  void create(std::size_t first, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i)
      REQUIRE(commit(*database, created(static_cast<std::uint16_t>(first + i))));
  }
  // Two seconds without a commit.
  void rest() {
    for (int i = 0; i < 3; ++i) database->keep_log_short(stats);
  }
  // What a start finds if the process is killed now.
  std::size_t streams_after_kill() {
    const TempFolder killed;
    for (const char* name : {"s.db", "s.db-wal", "s.db-shm"})
      if (std::filesystem::exists(folder / name))
        std::filesystem::copy_file(folder / name, killed / name);
    CHECK(query(killed / "s.db", "PRAGMA integrity_check") == std::vector<std::string>{"ok"});
    return query(killed / "s.db", "SELECT port FROM streams").size();
  }
  base::Result<void> change() { return commit(*database, created(9999)); }

  const TempFolder folder;
  const TempFolder elsewhere;
  const std::string file = folder / "s.db";
  const std::string copy = elsewhere / "copy.db";
  store::LogStats stats;
  std::unique_ptr<Database> database;
};

void check_refused(const base::Result<void>& result, const std::string& word) {
  REQUIRE_FALSE(result);
  CHECK(result.error().code == base::Errc::replaced);
  CHECK_THAT(result.error().message, Catch::Contains(word));
}

TEST_CASE("a commit to a database that was replaced is refused, and the new file stays whole") {
  OpenDatabase open;
  std::filesystem::rename(open.copy, open.file);
  check_refused(open.change(), "was replaced by another file");
  CHECK(open.streams_after_kill() == kInCopy);
  open.database.reset();
  CHECK(open.streams_after_kill() == kInCopy);
}

TEST_CASE("a database that is closed after it was replaced does nothing to the new file") {
  OpenDatabase open;
  std::filesystem::rename(open.copy, open.file);
  open.database.reset();  // nothing has looked before
  CHECK(open.streams_after_kill() == kInCopy);
}

TEST_CASE("a database that was moved away is complete there, and is used again when it is back") {
  OpenDatabase open;
  std::filesystem::rename(open.file, open.elsewhere / "away.db");
  check_refused(open.change(), "is gone");
  CHECK(query(open.elsewhere / "away.db", "SELECT port FROM streams").size() == kBefore);
  std::filesystem::remove(open.elsewhere / "away.db-wal");
  std::filesystem::remove(open.elsewhere / "away.db-shm");
  std::filesystem::rename(open.elsewhere / "away.db", open.file);
  CHECK(open.change());
}

TEST_CASE("a database that was overwritten in place is not written to, and keeps the new content") {
  OpenDatabase open;
  const bool had_rest = GENERATE(true, false);
  if (had_rest) open.rest();
  write_bytes(open.file, read_bytes(open.copy));
  check_refused(open.change(), "was overwritten");
  CHECK(open.streams_after_kill() == kInCopy);
  open.database.reset();
  CHECK(open.streams_after_kill() == kInCopy);
}

TEST_CASE("a database that is overwritten just after its log was emptied is noticed") {
  OpenDatabase open;
  open.database->keep_log_short(open.stats);  // copies, and looks
  REQUIRE(open.stats.checkpoints == 1);
  open.database->connection().exec("PRAGMA wal_checkpoint(TRUNCATE)");
  SECTION("by a copy") { write_bytes(open.file, read_bytes(open.copy)); }
  SECTION("by a cut") { std::filesystem::resize_file(open.file, 8192); }
  check_refused(open.change(), "was overwritten");
}

TEST_CASE("a database that is cut while its log is copied is noticed") {
  OpenDatabase open;
  open.database->connection().exec("PRAGMA wal_checkpoint(PASSIVE)");  // nothing has looked since
  std::filesystem::resize_file(open.file, 8192);
  check_refused(open.change(), "was overwritten");
}

// Writes a copy over the database. The file has the same size and time of change afterwards.
void overwrite_at_once(const std::string& file, const std::string& bytes) {
  const auto size = std::filesystem::file_size(file);
  const auto time = std::filesystem::last_write_time(file);
  write_bytes(file, bytes);
  std::filesystem::resize_file(file, size);
  std::filesystem::last_write_time(file, time);
}

TEST_CASE("a copy of the same size that is written within a tick of the clock is noticed") {
  OpenDatabase open;
  open.rest();
  SECTION("made by a backup") { overwrite_at_once(open.file, read_bytes(open.copy)); }
  SECTION("made by a plain copy") {
    const std::string bytes = read_bytes(open.file);
    open.create(9100, 100);
    open.rest();
    REQUIRE(std::filesystem::file_size(open.file) > bytes.size());
    overwrite_at_once(open.file, bytes);
  }
  check_refused(open.change(), "was overwritten");
}

TEST_CASE("a copy of the same size that is written during a checkpoint is noticed") {
  OpenDatabase open;
  open.rest();
  const std::string bytes = read_bytes(open.file);
  open.create(9100, 100);
  open.database->connection().exec("PRAGMA wal_checkpoint(PASSIVE)");  // nothing has looked since
  SECTION("made by a backup") { overwrite_at_once(open.file, read_bytes(open.copy)); }
  SECTION("made by a plain copy") { overwrite_at_once(open.file, bytes); }
  check_refused(open.change(), "was overwritten");
}

TEST_CASE("a database that is overwritten during a commit refuses this commit") {
  OpenDatabase open;
  // The first look copies the log, and the commit begins it again. A later look empties it.
  const int looks = GENERATE(1, 3);
  for (int i = 0; i < looks; ++i) open.database->keep_log_short(open.stats);
  const std::vector<Database::Writes> batch{{created(9999)}};
  const auto results = open.database->commit(batch, [&](std::size_t) {
    write_bytes(open.file, read_bytes(open.copy));
    return true;
  });
  REQUIRE(results.size() == 1);
  check_refused(results.front(), "was overwritten");
  CHECK(open.streams_after_kill() == kInCopy);
}

TEST_CASE("a log that was removed is moved to the database, so that nothing is lost") {
  OpenDatabase open;
  std::filesystem::remove(open.file + "-wal");
  check_refused(open.change(), "-wal was removed");
  CHECK(open.streams_after_kill() == kBefore);
  open.database.reset();
  CHECK(open.streams_after_kill() == kBefore);
}

TEST_CASE("a log that was cut or replaced, and an index that was removed, end the changes") {
  OpenDatabase open;
  std::string word = "-wal was replaced or cut";
  SECTION("cut") { std::filesystem::resize_file(open.file + "-wal", 4096); }
  SECTION("replaced") {
    write_bytes(open.elsewhere / "log", "not a log");
    std::filesystem::rename(open.elsewhere / "log", open.file + "-wal");
  }
  SECTION("index") {
    std::filesystem::remove(open.file + "-shm");
    word = "-shm was removed";
  }
  check_refused(open.change(), word);
}

TEST_CASE("checkpoints, of this and of other programs, are not taken for an overwritten database") {
  OpenDatabase open;
  for (int i = 0; i < 3; ++i) {
    execute(open.file, "PRAGMA wal_checkpoint(TRUNCATE)");
    CHECK_FALSE(open.database->look_at_files());
    open.create(9100 + static_cast<std::size_t>(i), 1);
    open.rest();
    CHECK_FALSE(open.database->look_at_files());
    execute(open.file, "PRAGMA user_version = " + std::to_string(i));
    execute(open.file, "VACUUM");
    CHECK_FALSE(open.database->look_at_files());
    open.create(9200 + static_cast<std::size_t>(i), 1);
  }
}

TEST_CASE("a database at rest is complete in its file, with an empty log") {
  OpenDatabase open;
  CHECK(std::filesystem::file_size(open.file + "-wal") > 0);
  open.rest();
  CHECK(std::filesystem::file_size(open.file + "-wal") == 0);
  std::filesystem::copy_file(open.file, open.elsewhere / "alone.db");
  CHECK(query(open.elsewhere / "alone.db", "SELECT port FROM streams").size() == kBefore);
  CHECK(open.stats.checkpoints > 0);
  CHECK(open.stats.failed_checkpoints == 0);
  CHECK(open.stats.bytes == 0);
}

}  // namespace
}  // namespace sc::test
