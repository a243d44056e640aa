#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "store/database.h"
#include "store/end_mark.h"
#include "store/fixture.h"
#include "store/inspection.h"
#include "store/integrity_check.h"
#include "support/catch.h"

namespace sc::test {
namespace {

using store::Database;

// A database of `ports` streams that was closed cleanly.
std::string closed_database(const TempFolder& folder, std::uint16_t ports = 1) {
  std::string file = folder / "s.db";
  auto database = Database::open(file);
  REQUIRE(database);
  std::vector<core::StoreWrite> writes;
  for (std::uint16_t port = 9000; port < 9000 + ports; ++port)
    for (auto& write : created(port)) writes.push_back(std::move(write));
  REQUIRE(commit(**database, std::move(writes)));
  return file;
}

bool is_checked(const std::string& file) {
  const auto opened = Database::open(file);
  REQUIRE(opened);
  return (*opened)->check() != nullptr;
}

TEST_CASE("a database that was closed cleanly is not read whole at the next start") {
  const TempFolder folder;
  const std::string file = closed_database(folder);
  CHECK_FALSE(is_checked(file));
  CHECK_FALSE(is_checked(file));
}

TEST_CASE("a database that a killed process had open is checked, until it is closed again") {
  const TempFolder folder;
  const std::string file = closed_database(folder);
  CHECK(in_child([&] {
          const auto opened = Database::open(file);
          if (!opened) return opened.error().message;
          if (const auto done = commit(**opened, created(9500)); !done) return done.error().message;
          ::_exit(0);  // as by a kill
        }).empty());
  CHECK(is_checked(file));
  CHECK_FALSE(is_checked(file));
  CHECK(query(file, "SELECT count(*) FROM streams") == std::vector<std::string>{"2"});
}

TEST_CASE("a database that was changed since it was closed is checked") {
  const TempFolder folder;
  const std::string file = closed_database(folder);
  SECTION("by another program") { execute(file, "UPDATE streams SET note = 'x'"); }
  SECTION("replaced by a copy with the same times") {
    std::filesystem::copy_file(file, file + ".copy");
    std::filesystem::last_write_time(file + ".copy", std::filesystem::last_write_time(file));
    std::filesystem::rename(file + ".copy", file);
  }
  SECTION("by a byte of the disk") {
    const base::Fd opened(::open(file.c_str(), O_WRONLY | O_CLOEXEC));
    REQUIRE(::pwrite(opened.get(), "\0", 1, 60) == 1);  // the user version, which is 0 there
  }
  SECTION("and its mark is a part") {
    const std::string mark = folder / "stream-conductor.closed";
    write_bytes(mark, read_bytes(mark).substr(0, 20));
  }
  SECTION("and its mark is gone") {
    std::filesystem::remove(folder.path() / "stream-conductor.closed");
  }
  CHECK(is_checked(file));
  CHECK_FALSE(is_checked(file));
}

TEST_CASE("files that replaced an open database are not taken for closed ones") {
  const TempFolder folder;
  const std::string file = closed_database(folder);
  std::filesystem::copy_file(file, file + ".backup");
  SECTION("the database") {
    const auto opened = Database::open(file);
    REQUIRE(opened);
    std::filesystem::rename(file + ".backup", file);
  }
  SECTION("its log") {
    const auto opened = Database::open(file);
    REQUIRE(opened);
    std::filesystem::copy_file(file + "-wal", file + "-wal.copy");
    std::filesystem::rename(file + "-wal.copy", file + "-wal");
  }
  CHECK(is_checked(file));
}

TEST_CASE("a mark of a clean end counts once") {
  const TempFolder folder;
  const std::string file = folder / "s.db";
  write_bytes(file, "content");
  CHECK_FALSE(store::take_end_mark(file));
  CHECK_FALSE(std::filesystem::exists(folder.path() / "stream-conductor.closed"));
  store::leave_end_mark(file);
  CHECK(mode_of(folder / "stream-conductor.closed") == 0640);
  CHECK(store::take_end_mark(file));
  CHECK_FALSE(store::take_end_mark(file));
}

// A database whose history, not its streams, has a damaged page.
std::string with_damaged_history(const TempFolder& folder) {
  std::string file = closed_database(folder, 2000);
  const auto page = std::stoul(
      query(file, "SELECT max(rootpage) FROM sqlite_master WHERE name LIKE 'stream_events_by_%'")
          .front());
  std::string bytes = read_bytes(file);
  bytes.replace((page - 1) * 4096, 4096, 4096, '\x5a');
  write_bytes(file, bytes);
  return file;
}

TEST_CASE("damage of a large database is found after the start, and its end is not clean") {
  const TempFolder folder;
  const std::string file = with_damaged_history(folder);
  std::shared_ptr<store::IntegrityCheck> check;
  const auto applied = store::inspect_for_start(file, store::embedded_migrations(), check, 0);
  REQUIRE(check);
  const auto verdict = check->wait();
  REQUIRE_FALSE(verdict);
  CHECK_THAT(verdict.error().message,
             Catch::Contains(file) && (Catch::Contains("corrupt") || Catch::Contains("damaged")));
  CHECK_FALSE(check->is_passed());
  std::string told;
  check->on_damage([&](const base::Error& damage) { told = damage.message; });
  CHECK(told == verdict.error().message);
  if (!applied) CHECK(applied.error().message == told);  // it was found in time
  // What fits into memory easily is always read whole.
  CHECK_FALSE(Database::open(file));
}

TEST_CASE("a check that is stopped has closed the database, and has not passed") {
  const TempFolder folder;
  const std::string file = closed_database(folder, 2000);
  for (int i = 0; i < 20; ++i) {
    std::shared_ptr<store::IntegrityCheck> check;
    REQUIRE(store::inspect_for_start(file, store::embedded_migrations(), check, 0));
    check->stop();
    CHECK(count_open(file) == 0);
    const bool is_passed = check->is_passed();
    check->stop();
    CHECK(check->is_passed() == is_passed);
  }
}

TEST_CASE("a check that is not waited for any more ends early, and has not passed") {
  const TempFolder folder;
  const std::string file = closed_database(folder, 2000);
  for (int i = 0; i < 20; ++i) {
    std::shared_ptr<store::IntegrityCheck> check;
    REQUIRE(store::inspect_for_start(file, store::embedded_migrations(), check, 0));
    check.reset();  // joins the thread
  }
}

}  // namespace
}  // namespace sc::test
