#include <SQLiteCpp/Database.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/database.h"
#include "store/fixture.h"
#include "store/sqlite_store.h"
#include "support/catch.h"

namespace sc::test {
namespace {

using store::Database;

constexpr uid_t kNobody = 65534;

std::string why_not(const std::string& file) {
  auto opened = Database::open(file);
  return opened ? "opened" : opened.error().message;
}

// What a refusal must not change.
struct Bytes {
  explicit Bytes(const std::string& file)
      : main(read_bytes(file)), wal(read_bytes(file + "-wal")), mode(mode_of(file)) {}
  bool operator==(const Bytes&) const = default;
  std::string main;
  std::string wal;
  unsigned mode;
};

std::vector<std::string> names_in(const std::filesystem::path& folder) {
  std::vector<std::string> out;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    out.push_back(entry.path().filename().string());
  std::sort(out.begin(), out.end());
  return out;
}

TEST_CASE("what is no database is refused and keeps its bytes") {
  const TempFolder folder;
  const std::string file = folder / "s.db";
  write_bytes(file, GENERATE(as<std::string>{}, "x", "not a database at all\n",
                             std::string(8192, '\xff'), std::string(100, '\0')));
  const Bytes before(file);
  CHECK(why_not(file) == "the database " + file + " is not a SQLite database");
  CHECK(Bytes(file) == before);
  CHECK(names_in(folder.path()) == std::vector<std::string>{"s.db", "stream-conductor.lock"});
}

TEST_CASE("a damaged database is refused and keeps its bytes") {
  const TempFolder folder;
  const std::string file = folder / "s.db";
  {
    auto database = Database::open(file);
    REQUIRE(database);
    std::vector<core::StoreWrite> writes;
    for (std::uint16_t port = 9000; port < 9200; ++port)
      for (auto& write : created(port)) writes.push_back(std::move(write));
    REQUIRE(commit(**database, std::move(writes)));
  }
  std::string bytes = read_bytes(file);
  SECTION("a page in the middle is overwritten") { bytes.replace(3 * 4096, 4096, 4096, '\x5a'); }
  SECTION("the end is missing") { bytes.resize(bytes.size() / 2); }
  SECTION("only the header is left") { bytes.resize(100); }
  write_bytes(file, bytes);
  const Bytes before(file);
  CHECK_THAT(why_not(file),
             Catch::Contains(file) && (Catch::Contains("damaged") || Catch::Contains("corrupt")));
  CHECK(Bytes(file) == before);
}

TEST_CASE("somebody else's database is refused and keeps its bytes") {
  const TempFolder folder;
  const std::string file = folder / "s.db";
  SECTION("with a table") {
    execute(file, "CREATE TABLE theirs (a)");
    const Bytes before(file);
    CHECK(why_not(file) ==
          "the database " + file + " belongs to another program (its application_id is 0)");
    CHECK(Bytes(file) == before);
    CHECK(names_in(folder.path()) == std::vector<std::string>{"s.db", "stream-conductor.lock"});
  }
  SECTION("in WAL mode") {
    execute(file, "PRAGMA journal_mode = WAL; CREATE TABLE theirs (a)");
    const Bytes before(file);
    CHECK_THAT(why_not(file), Catch::Contains("belongs to another program"));
    CHECK(Bytes(file) == before);
    CHECK(names_in(folder.path()) == std::vector<std::string>{"s.db", "stream-conductor.lock"});
  }
  SECTION("with an application_id and no table") {
    execute(file, "PRAGMA application_id = 77");
    const Bytes before(file);
    CHECK_THAT(why_not(file), Catch::Contains("(its application_id is 77)"));
    CHECK(Bytes(file) == before);
  }
  SECTION("in use, with its tables only in the -wal") {
    SQLite::Database theirs(file, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    theirs.exec("PRAGMA journal_mode = WAL; CREATE TABLE theirs (a)");
    CHECK_THAT(why_not(file), Catch::Contains("belongs to another program"));
    CHECK(query(file, "SELECT count(*) FROM theirs") == std::vector<std::string>{"0"});
  }
}

// Makes, in `file`, what a program leaves that is killed in a transaction: the journal to roll back
// and the half-written database.
void leave_unfinished(const std::string& file) {
  const std::string source = file + ".whole";
  SQLite::Database theirs(source, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
  theirs.exec("CREATE TABLE theirs (a); INSERT INTO theirs VALUES (zeroblob(100000))");
  theirs.exec("PRAGMA cache_size = 1; BEGIN; UPDATE theirs SET a = zeroblob(200000)");
  REQUIRE(sqlite3_db_cacheflush(theirs.getHandle()) == SQLITE_OK);
  write_bytes(file, in_child([&source] { return read_bytes(source); }));
  write_bytes(file + "-journal", in_child([&source] { return read_bytes(source + "-journal"); }));
  theirs.exec("ROLLBACK");
}

TEST_CASE("somebody else's unfinished transaction is not rolled back") {
  const TempFolder folder;
  const std::string file = folder / "s.db";
  leave_unfinished(file);
  REQUIRE(!read_bytes(file + "-journal").empty());
  const Bytes before(file);
  CHECK_THAT(why_not(file), Catch::Contains("left a transaction unfinished"));
  CHECK(Bytes(file) == before);
}

TEST_CASE("the first start can be cut off at any moment and the next one succeeds") {
  const TempFolder folder;
  const std::string file = folder / "s.db";
  // The switch to WAL writes the first page, and keeps a journal until that is on disk. Its header
  // (https://sqlite.org/fileformat.html#the_rollback_journal): magic, no record, a nonce, and that
  // the database had 0 pages, in sectors of 512 and pages of 4096 bytes.
  execute(file, "PRAGMA journal_mode = WAL");
  std::string journal("\xd9\xd5\x05\xf9\x20\xa1\x63\xd7\0\0\0\0\1\2\3\4\0\0\0\0\0\0\2\0\0\0\x10\0",
                      28);
  journal.resize(512, '\0');
  write_bytes(file + "-journal", journal);
  REQUIRE(read_bytes(file).size() == 4096);
  CHECK(why_not(file) == "opened");
}

TEST_CASE("a -wal without its database is not thrown away") {
  const TempFolder folder;
  const std::string file = folder / "s.db";
  write_bytes(file + "-wal", "what is left");
  SECTION("no file") {}
  SECTION("no byte") { write_bytes(file, ""); }
  CHECK_THAT(why_not(file), Catch::Contains("is missing or empty, but " + file + "-wal is not"));
  CHECK(read_bytes(file + "-wal") == "what is left");
}

TEST_CASE("our database without its record of migrations is refused") {
  const TempFolder folder;
  const std::string file = folder / "s.db";
  REQUIRE(Database::open(file));
  execute(file, "DROP TABLE schema_migrations");
  const Bytes before(file);
  CHECK_THAT(why_not(file), Catch::Contains("no such table: schema_migrations"));
  CHECK(Bytes(file).main == before.main);
}

TEST_CASE("what is no file is refused") {
  const TempFolder folder;
  const std::string file = folder / "s.db";
  SECTION("a folder") { std::filesystem::create_directory(file); }
  SECTION("a named pipe") { REQUIRE(::mkfifo(file.c_str(), 0600) == 0); }
  CHECK(why_not(file) == file + " is not a regular file");
}

TEST_CASE("a file where the folder should be is named") {
  const TempFolder folder;
  write_bytes(folder / "state", "");
  CHECK_THAT(why_not(folder / "state/s.db"),
             Catch::Contains(folder / "state") && Catch::Contains("ENOTDIR"));
  CHECK_THAT(why_not(folder / "state/below/s.db"), Catch::Contains("ENOTDIR"));
}

TEST_CASE("a database that the service may not write is refused and keeps its bytes",
          "[root-refusal]") {
  REQUIRE(::getuid() == 0);  // to become another user
  const TempFolder folder;
  const std::filesystem::path state = folder.path() / "state";
  const std::string file = (state / "s.db").string();
  const auto as_nobody = [&file] { return in_child([&file] { return why_not(file); }, kNobody); };
  std::filesystem::create_directory(state);
  SECTION("neither folder nor file") {
    REQUIRE(::chmod(state.c_str(), 0755) == 0);
    CHECK(as_nobody() == "the lock " + state.string() +
                             "/stream-conductor.lock cannot be opened: Permission denied (EACCES)");
    CHECK(names_in(state).empty());
  }
  SECTION("the file alone") {
    REQUIRE(Database::open(file));
    REQUIRE(::chown(state.c_str(), kNobody, kNobody) == 0);
    REQUIRE(::chown((state / "stream-conductor.lock").c_str(), kNobody, kNobody) == 0);
    REQUIRE(::chmod(file.c_str(), 0644) == 0);
    const Bytes before(file);
    CHECK(as_nobody() == file + " is not writable: Permission denied (EACCES)");
    CHECK(Bytes(file) == before);
  }
  SECTION("the -shm alone") {
    REQUIRE(Database::open(file));
    for (const auto& entry : std::filesystem::directory_iterator(state))
      REQUIRE(::chown(entry.path().c_str(), kNobody, kNobody) == 0);
    REQUIRE(::chown(state.c_str(), kNobody, kNobody) == 0);
    REQUIRE(::chown((file + "-shm").c_str(), 0, 0) == 0);
    const Bytes before(file);
    CHECK(as_nobody() == file + "-shm is not writable: Permission denied (EACCES)");
    CHECK(Bytes(file) == before);
  }
  SECTION("no folder where none can be made") {
    CHECK_THAT(
        in_child([&state] { return why_not((state / "deep/s.db").string()); }, kNobody),
        Catch::Contains("the state folder " + (state / "deep").string() + " cannot be made") &&
            Catch::Contains("EACCES"));
  }
}

TEST_CASE("the store says why it cannot open") {
  const TempFolder folder;
  write_bytes(folder / "s.db", "no");
  auto opened = store::SqliteStore::open(folder / "s.db", [](base::Callback<void()>) {});
  REQUIRE(!opened);
  CHECK(opened.error().code == base::Errc::invalid);
}

}  // namespace
}  // namespace sc::test
