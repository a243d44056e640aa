#include <unistd.h>

#include "store/database_copy.h"
#include "store/fixture.h"
#include "store/folder.h"
#include "store/restoration.h"
#include "support/catch.h"

namespace sc::test {
namespace {

using store::Database;
using store::DatabaseReader;
using store::PartialCopy;

bool go_on(std::uint64_t, std::uint64_t) { return true; }

std::vector<std::string> names_in(const std::filesystem::path& folder) {
  std::vector<std::string> out;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    out.push_back(entry.path().filename().string());
  std::sort(out.begin(), out.end());
  return out;
}

void create(Database& database, std::uint16_t first, std::uint16_t last) {
  for (std::uint16_t port = first; port <= last; ++port) REQUIRE(commit(database, created(port)));
}

// What a database at `file` holds when the service opens it.
std::size_t streams_after_start(const std::string& file) {
  auto database = Database::open(file);
  INFO((database ? "" : database.error().message));
  REQUIRE(database);
  auto stored = (*database)->load();
  REQUIRE(stored);
  return stored->streams.size();
}

void back_up(const std::string& from, const std::string& to) {
  auto reader = DatabaseReader::open(from);
  REQUIRE(reader);
  auto copy = PartialCopy::start(to);
  REQUIRE(copy);
  const auto filled = copy->fill(**reader, go_on);
  INFO((filled ? "" : filled.error().message));
  REQUIRE(filled);
  REQUIRE(copy->put_in_place(false));
}

// A process that is killed: its last commits are in the log alone.
void create_and_be_killed(const std::string& file, std::uint16_t first, std::uint16_t last) {
  in_child([&] {
    auto database = Database::open(file);
    create(**database, first, last);
    ::_exit(0);
    return std::string();
  });
}

TEST_CASE("a backup of a running service holds everything that was committed, in one file") {
  const TempFolder folder;
  const std::string file = folder / "s.db";
  auto database = Database::open(file);
  REQUIRE(database);
  create(**database, 9000, 9009);
  CHECK(query(file, "SELECT count(*) FROM streams") == std::vector<std::string>{"10"});
  back_up(file, folder / "copy.db");
  CHECK(mode_of(folder / "copy.db") == 0640);
  CHECK(query(folder / "copy.db", "SELECT count(*) FROM streams") ==
        std::vector<std::string>{"10"});
  CHECK(query(folder / "copy.db", "PRAGMA journal_mode") == std::vector<std::string>{"delete"});
  CHECK(names_in(folder.path()) == std::vector<std::string>{"copy.db", "s.db", "s.db-shm",
                                                            "s.db-wal", "stream-conductor.lock"});
}

TEST_CASE("a backup holds the state of its beginning, whatever is committed meanwhile") {
  const TempFolder folder;
  const TempFolder elsewhere;
  const std::string file = folder / "s.db";
  auto database = Database::open(file);
  REQUIRE(database);
  create(**database, 9000, 9009);
  auto reader = DatabaseReader::open(file);
  REQUIRE(reader);
  create(**database, 9010, 9019);
  auto copy = PartialCopy::start(elsewhere / "copy.db");
  REQUIRE(copy);
  REQUIRE(copy->fill(**reader, go_on));
  REQUIRE(copy->put_in_place(false));
  CHECK(streams_after_start(elsewhere / "copy.db") == 10);
}

TEST_CASE("a backup that is ended leaves nothing behind") {
  const TempFolder folder;
  const std::string file = folder / "s.db";
  {
    auto database = Database::open(file);
    REQUIRE(database);
    create(**database, 9000, 9009);
  }
  {
    auto reader = DatabaseReader::open(file);
    REQUIRE(reader);
    auto copy = PartialCopy::start(folder / "copy.db");
    REQUIRE(copy);
    bool was_asked = false;
    CHECK_FALSE(copy->fill(**reader, [&](std::uint64_t, std::uint64_t) {
      was_asked = true;
      return false;
    }));
    CHECK(was_asked);
    CHECK(names_in(folder.path()).size() > 2);
  }
  for (const std::string& name : names_in(folder.path())) CHECK_FALSE(name.starts_with("copy"));
}

TEST_CASE("a backup of a damaged database fails, names the damage and leaves nothing behind") {
  const TempFolder folder;
  const std::string file = folder / "s.db";
  {
    auto database = Database::open(file);
    REQUIRE(database);
    create(**database, 9000, 9199);
  }
  std::string bytes = read_bytes(file);
  bytes.replace(10 * 4096, 4096, 4096, '\x5a');
  write_bytes(file, bytes);
  std::filesystem::remove(file + "-wal");
  std::filesystem::remove(file + "-shm");
  auto reader = DatabaseReader::open(file);
  REQUIRE(reader);
  {
    auto copy = PartialCopy::start(folder / "copy.db");
    REQUIRE(copy);
    const auto filled = copy->fill(**reader, go_on);
    REQUIRE_FALSE(filled);
    CHECK_THAT(filled.error().message, Catch::Contains("is damaged: "));
  }
  const auto damage = (*reader)->find_damage(go_on);
  REQUIRE(damage);
  CHECK_FALSE(damage->empty());
  for (const std::string& name : names_in(folder.path())) CHECK_FALSE(name.starts_with("copy"));
}

TEST_CASE("a backup replaces a file only if asked to, and one name has one writer") {
  const TempFolder folder;
  const std::string file = folder / "s.db";
  REQUIRE(Database::open(file));
  write_bytes(folder / "copy.db", "precious");
  auto reader = DatabaseReader::open(file);
  REQUIRE(reader);
  auto copy = PartialCopy::start(folder / "copy.db");
  REQUIRE(copy);
  REQUIRE(copy->fill(**reader, go_on));
  CHECK(PartialCopy::start(folder / "copy.db").error().code == base::Errc::conflict);
  CHECK(copy->put_in_place(false).error().code == base::Errc::in_use);
  CHECK(read_bytes(folder / "copy.db") == "precious");
  REQUIRE(copy->put_in_place(true));
  CHECK(query(folder / "copy.db", "PRAGMA quick_check") == std::vector<std::string>{"ok"});
}

TEST_CASE("a restored database is complete, and nothing of the old one is applied to it") {
  const TempFolder folder;
  const std::string file = folder / "s.db";
  create_and_be_killed(file, 9000, 9004);
  back_up(file, folder / "copy.db");
  create_and_be_killed(file, 9100, 9199);
  REQUIRE(std::filesystem::file_size(file + "-wal") > 0);
  {
    auto claim = store::claim_present_folder(folder.path().string());
    REQUIRE(claim);
    auto reader = DatabaseReader::open(folder / "copy.db");
    REQUIRE(reader);
    auto copy = PartialCopy::start(file);
    REQUIRE(copy);
    REQUIRE(copy->fill(**reader, go_on));
    REQUIRE(store::replace_database(file, std::move(*copy)));
  }
  CHECK(streams_after_start(file) == 5);
}

// As after a crash between the rename and the removal of the old log, and as after `mv`.
TEST_CASE("a log of the old database that stayed after a replacement is set aside") {
  const TempFolder folder;
  const std::string file = folder / "s.db";
  create_and_be_killed(file, 9000, 9004);
  back_up(file, folder / "copy.db");
  create_and_be_killed(file, 9100, 9199);
  const std::string log = read_bytes(file + "-wal");
  REQUIRE_FALSE(log.empty());
  std::filesystem::rename(folder / "copy.db", file);
  CHECK(store::find_foreign_log(file));
  CHECK(streams_after_start(file) == 5);
  CHECK_FALSE(store::find_foreign_log(file));
  CHECK(read_bytes(file + "-wal.former") == log);
}

TEST_CASE("a database that is restored with its own log keeps it") {
  const TempFolder folder;
  const TempFolder elsewhere;
  const std::string file = folder / "s.db";
  create_and_be_killed(file, 9000, 9004);
  for (const char* suffix : {"", "-wal", "-shm"})
    std::filesystem::copy_file(file + suffix, (elsewhere / "s.db") + suffix);
  create_and_be_killed(file, 9100, 9199);
  for (const char* suffix : {"", "-wal", "-shm"}) {
    std::filesystem::remove(file + suffix);
    std::filesystem::copy_file((elsewhere / "s.db") + suffix, file + suffix);
  }
  CHECK(streams_after_start(file) == 5);
}

TEST_CASE("two services cannot have one folder, also after its lock file was removed") {
  const TempFolder folder;
  const std::string file = folder / "s.db";
  auto first = Database::open(file);
  REQUIRE(first);
  std::filesystem::remove(folder / "stream-conductor.lock");
  auto second = Database::open(file);
  REQUIRE_FALSE(second);
  CHECK(second.error().code == base::Errc::conflict);
}

TEST_CASE("only what this stream-conductor can take up is not refused") {
  const TempFolder folder;
  const std::string file = folder / "s.db";
  REQUIRE(Database::open(file));
  const auto refusal = [&] { return (*DatabaseReader::open(file))->refusal(); };
  CHECK(refusal() == std::nullopt);
  execute(file, "PRAGMA user_version = 99");
  CHECK_THAT(refusal().value_or(""), Catch::Contains("newer"));
  execute(file, "PRAGMA user_version = 1");
  execute(file, "DELETE FROM schema_migrations WHERE name > '0002'");
  CHECK(refusal() == std::nullopt);
  execute(file, "PRAGMA application_id = 5");
  CHECK_THAT(refusal().value_or(""), Catch::Contains("another program"));
}

TEST_CASE("a file that is no database is refused, and no other file is left in its folder") {
  const TempFolder folder;
  CHECK(DatabaseReader::open(folder / "none.db").error().code == base::Errc::not_found);
  write_bytes(folder / "empty.db", "");
  CHECK_FALSE(DatabaseReader::open(folder / "empty.db"));
  write_bytes(folder / "text.db", std::string(8192, 'x'));
  CHECK_FALSE(DatabaseReader::open(folder / "text.db"));
  CHECK_FALSE(DatabaseReader::open(folder.path().string()));
  CHECK(names_in(folder.path()) == std::vector<std::string>{"empty.db", "text.db"});
}

TEST_CASE("the record of a folder names the files, and its holder is this process") {
  const TempFolder folder;
  const std::string file = folder / "s.db";
  auto database = Database::open(file);
  REQUIRE(database);
  const auto record = store::read_claim_record(folder.path().string());
  REQUIRE(record);
  CHECK(record->pid == ::getpid());
  CHECK(record->database == store::identify(file));
  CHECK(record->log == store::identify(file + "-wal"));
  CHECK(store::find_claimant(folder.path().string()) == ::getpid());
  database->reset();
  CHECK(store::find_claimant(folder.path().string()) == 0);
}

}  // namespace
}  // namespace sc::test
