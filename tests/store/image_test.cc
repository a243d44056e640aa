// A database whose disk cannot be written can still be read.
#include "store/image.h"

#include <SQLiteCpp/Database.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>
#include <vector>

#include "store/fixture.h"
#include "store/queries.h"
#include "support/catch.h"

namespace sc::test {
namespace {

namespace fs = std::filesystem;
using store::apply_log;
using store::Database;

// Rows of a copy that was opened from memory.
std::vector<std::uint16_t> ports_of(SQLite::Database& copy) {
  store::Queries queries(copy);
  const auto stored = queries.load();
  REQUIRE(stored);
  std::vector<std::uint16_t> ports;
  for (const core::Stream& stream : stored->streams) ports.push_back(stream.spec.port);
  return ports;
}

// Takes a database's files as a crash leaves them, the -wal full and no -shm.
void copy_as_after_crash(const std::string& from, const std::string& to) {
  fs::copy_file(from, to);
  fs::copy_file(from + "-wal", to + "-wal");
}

TEST_CASE("the committed part of a log is applied as SQLite's own recovery does") {
  const TempFolder folder;
  const std::string file = folder / "s.db";
  auto database = Database::open(file);
  REQUIRE(database);
  for (std::uint16_t port = 9000; port < 9040; ++port) REQUIRE(commit(**database, created(port)));
  const std::string log = read_bytes(file + "-wal");
  std::string pages = read_bytes(file);
  apply_log(pages, log);
  // Cut off at every length: the result is a database with the rows of the commits that are whole.
  std::size_t before = 0;
  for (std::size_t length = 0; length <= log.size(); length += 4096 / 2 + 12) {
    std::string cut = read_bytes(file);
    apply_log(cut, std::string_view(log).substr(0, length));
    if (cut.empty()) continue;
    cut[18] = cut[19] = 1;
    const std::string copy = folder / "copy.db";
    write_bytes(copy, cut);
    CHECK(query(copy, "PRAGMA integrity_check") == std::vector<std::string>{"ok"});
    const auto tables = query(copy, "SELECT count(*) FROM sqlite_master WHERE name = 'streams'");
    if (tables.front() == "0") continue;
    const auto rows = std::stoul(query(copy, "SELECT count(*) FROM streams").front());
    CHECK(rows >= before);
    before = rows;
  }
  std::string whole = read_bytes(file);
  apply_log(whole, log);
  whole[18] = whole[19] = 1;
  write_bytes(folder / "whole.db", whole);
  CHECK(query(folder / "whole.db", "SELECT count(*) FROM streams").front() == "40");
}

TEST_CASE("a damaged frame ends the log, and a damaged header leaves it out") {
  const TempFolder folder;
  const std::string file = folder / "s.db";
  auto database = Database::open(file);
  REQUIRE(database);
  REQUIRE(commit(**database, created(9000)));
  const std::string pages = read_bytes(file);
  std::string log = read_bytes(file + "-wal");
  std::string whole = pages;
  apply_log(whole, log);
  CHECK(whole != pages);
  SECTION("in the header") {
    log[5] = static_cast<char>(log[5] + 1);
    std::string got = pages;
    apply_log(got, log);
    CHECK(got == pages);
  }
  SECTION("in the last frame") {
    log.back() = static_cast<char>(log.back() + 1);
    std::string got = pages;
    apply_log(got, log);
    CHECK(got != whole);
  }
  SECTION("no log") {
    std::string got = pages;
    apply_log(got, "");
    CHECK(got == pages);
  }
}

TEST_CASE("a database is read where it is if SQLite can do that") {
  const TempFolder folder;
  const std::string file = folder / "s.db";
  auto database = Database::open(file);
  REQUIRE(database);
  auto image = store::open_image(file);
  REQUIRE(image);
  CHECK(*image == nullptr);
}

TEST_CASE("a database of an earlier schema is migrated in memory and stays as it is on disk") {
  const TempFolder folder;
  const std::string file = folder / "s.db";
  const auto all = store::embedded_migrations();
  { REQUIRE(Database::open(file, all.first(2))); }
  execute(file,
          "INSERT INTO streams (port, backend, state, created_at, updated_at, created_by)"
          " VALUES (9000, 'x:1', 'listening', '2026-11-01T14:00:00.000Z',"
          " '2026-11-01T14:00:00.000Z', 'hand')");
  const std::string before = read_bytes(file);
  auto image = store::open_image(file);
  REQUIRE(image);
  REQUIRE(*image != nullptr);
  CHECK(ports_of(**image) == std::vector<std::uint16_t>{9000});
  CHECK(read_bytes(file) == before);
}

TEST_CASE("a missing or empty file gives no copy and is not created") {
  const TempFolder folder;
  const std::string file = folder / "s.db";
  const bool is_there = GENERATE(false, true);
  if (is_there) write_bytes(file, "");
  auto image = store::open_image(file);
  REQUIRE_FALSE(image);
  CHECK(image.error().code == base::Errc::unavailable);
  CHECK(fs::exists(file) == is_there);
}

TEST_CASE("what is corrupt, foreign, newer or unfinished gives no copy") {
  const TempFolder folder;
  const std::string file = folder / "s.db";
  SECTION("not a database") { write_bytes(file, std::string(5000, 'x')); }
  SECTION("of another program") { execute(file, "CREATE TABLE theirs (a)"); }
  SECTION("newer") {
    { REQUIRE(Database::open(file)); }
    execute(file, "PRAGMA user_version = 999");
  }
  SECTION("a log without its database") { write_bytes(file + "-wal", "left"); }
  auto image = store::open_image(file);
  REQUIRE_FALSE(image);
  CHECK(image.error().code == base::Errc::invalid);
}

// The tests of tests/e2e/disk_test.py use real full and read-only file systems.
TEST_CASE("a folder in which SQLite cannot create the -shm file is read from memory",
          "[root-refusal]") {
  REQUIRE(::getuid() == 0);  // to become another user
  const TempFolder folder;
  const std::string source = folder / "source.db";
  const fs::path state = folder.path() / "state";
  fs::create_directory(state);
  const std::string file = (state / "s.db").string();
  auto database = Database::open(source);
  REQUIRE(database);
  REQUIRE(commit(**database, created(9000)));
  SECTION("with content in the -wal") { copy_as_after_crash(source, file); }
  SECTION("without a -wal") {
    database->reset();  // moves the log into the file
    fs::copy_file(source, file);
  }
  for (const auto& entry : fs::directory_iterator(state)) ::chmod(entry.path().c_str(), 0644);
  ::chmod(state.c_str(), 0755);
  CHECK(in_child(
            [&file] {
              auto image = store::open_image(file);
              if (!image) return image.error().message;
              if (!*image) return std::string("in place");
              store::Queries queries(**image);
              const auto stored = queries.load();
              return stored ? std::to_string(stored->streams.size()) : stored.error().message;
            },
            65534) == "1");
}

}  // namespace
}  // namespace sc::test
