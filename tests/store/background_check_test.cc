// The check of a large database that goes on after the start.
#include <pthread.h>
#include <sqlite3.h>

#include <array>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <future>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "store/fixture.h"
#include "store/inspection.h"
#include "store/integrity_check.h"
#include "store/sqlite_store.h"
#include "support/catch.h"

namespace sc::test {
namespace {

using store::Database;
using store::SqliteStore;

using AutoExtension = void (*)();

std::mutex mutex;  // guards is_held and has_one
std::condition_variable changed;
bool is_held = false;
bool has_one = false;  // that is held

// SQLite calls it for each connection, on the thread that opens it.
int hold_check(sqlite3* /*connection*/, const char** /*error*/, const void* /*api*/) {
  std::array<char, 16> name{};
  ::pthread_getname_np(::pthread_self(), name.data(), name.size());
  std::unique_lock lock(mutex);
  if (std::string_view(name.data()) != "check") return SQLITE_OK;
  has_one = true;
  changed.notify_all();
  changed.wait(lock, [] { return !is_held; });
  return SQLITE_OK;
}

// Keeps checks from going on after they have opened the database. One at a time.
class HeldChecks {
 public:
  HeldChecks() {
    set(true);
    sqlite3_auto_extension(reinterpret_cast<AutoExtension>(&hold_check));
  }
  HeldChecks(const HeldChecks&) = delete;
  HeldChecks& operator=(const HeldChecks&) = delete;
  ~HeldChecks() {
    release();
    sqlite3_cancel_auto_extension(reinterpret_cast<AutoExtension>(&hold_check));
  }
  static void release() { set(false); }
  static void wait_for_one() {
    std::unique_lock lock(mutex);
    changed.wait(lock, [] { return has_one; });
  }

 private:
  static void set(bool held) {
    const std::lock_guard lock(mutex);
    is_held = held;
    has_one = false;
    changed.notify_all();
  }
};

// A database with one stream, large enough not to be waited for, that was not closed cleanly.
std::string large_database(const TempFolder& folder) {
  std::string file = folder / "s.db";
  {
    auto database = Database::open(file);
    REQUIRE(database);
    REQUIRE(commit(**database, created(9000)));
  }
  execute(file, "CREATE TABLE bulk (bytes BLOB)");
  execute(file, "INSERT INTO bulk VALUES (zeroblob(" +
                    std::to_string(store::kSmallDatabase + 4096) + "))");
  execute(file, "CREATE INDEX bulk_by_bytes ON bulk (length(bytes))");
  return file;
}

TEST_CASE("a database that is closed has no check that still reads it") {
  const TempFolder folder;
  const std::string file = large_database(folder);
  const HeldChecks held;
  auto database = Database::open(file);
  REQUIRE(database);
  const std::shared_ptr<store::IntegrityCheck> check = (*database)->check();
  REQUIRE(check);
  auto closing = std::async(std::launch::async, [&] { database->reset(); });
  HeldChecks::release();
  closing.get();
  CHECK(count_open(file) == 0);
}

TEST_CASE("a store whose check hangs reports that at its end") {
  const TempFolder folder;
  const std::string file = large_database(folder);
  const HeldChecks held;
  ControlThread control;
  auto store = SqliteStore::open(file, control.post());
  REQUIRE(store);
  CHECK_FALSE((*store)->finish(std::chrono::milliseconds{1}));
  HeldChecks::release();
}

TEST_CASE("damage that is found after the start is reported until another database is opened") {
  const TempFolder folder;
  const std::string file = large_database(folder);
  std::filesystem::copy_file(file, file + ".copy");
  const auto page = std::stoul(
      query(file, "SELECT rootpage FROM sqlite_master WHERE name = 'bulk_by_bytes'").front());
  std::string bytes = read_bytes(file);
  bytes.replace((page - 1) * 4096, 4096, 4096, '\x5a');
  write_bytes(file, bytes);
  const HeldChecks held;
  ControlThread control;
  auto store = SqliteStore::open(file, control.post());
  REQUIRE(store);
  std::optional<base::Error> damage;
  (*store)->set_on_damage([&](const auto& found) { damage = found; });
  HeldChecks::release();
  control.run_until([&] { return damage.has_value(); });
  CHECK_THAT(damage->message, Catch::Contains(file));

  std::filesystem::rename(file + ".copy", file);
  std::optional<bool> is_opened;
  (*store)->reopen([&](base::Result<bool> opened) { is_opened = opened && *opened; });
  control.run_until([&] { return is_opened && !damage; });
  CHECK(is_opened == true);
}

// A store whose database was replaced by a copy, and that is about to open it.
struct Examined {
  Examined() {
    auto opened = SqliteStore::open(file, control.post());
    REQUIRE(opened);
    store = std::move(*opened);
    bool is_saved = false;
    store->commit(created(9000), [&](const auto& saved) { is_saved = bool{saved}; });
    control.run_until([&] { return is_saved; });
    CHECK(events() == "1");
    execute(file, "VACUUM INTO '" + file + ".copy'");
    std::filesystem::rename(file + ".copy", file);
  }
  void reopen() {
    store->reopen([this](const base::Result<bool>& opened) {
      answer = opened ? "opened" : opened.error().message;
    });
  }
  std::string events() {
    std::string number;
    store->history({}, [&](base::Result<core::HistoryPage> page) {
      number = page ? std::to_string(page->events.size()) : page.error().message;
    });
    control.run_until([&] { return !number.empty(); });
    return number;
  }

  const TempFolder folder;
  const std::string file = folder / "s.db";
  ControlThread control;
  std::unique_ptr<SqliteStore> store;
  std::string answer;
};

TEST_CASE("queries are answered while a file that has replaced the database is examined") {
  Examined test;
  const HeldChecks held;
  test.reopen();
  HeldChecks::wait_for_one();
  CHECK(test.events() == "1");
  CHECK(test.answer.empty());
  HeldChecks::release();
  test.control.run_until([&] { return !test.answer.empty(); });
  CHECK(test.answer == "opened");
  CHECK(test.events() == "1");
}

TEST_CASE("the examination of a file ends when the store must end") {
  Examined test;
  const HeldChecks held;
  test.reopen();
  HeldChecks::wait_for_one();
  // 250 ms more, in which the writer sees that it must end.
  CHECK_FALSE(test.store->finish(std::chrono::milliseconds{0}));
  HeldChecks::release();
  test.control.run_until([&] { return !test.answer.empty(); });
  CHECK_THAT(test.answer, Catch::Contains("was ended before it was complete"));
}

}  // namespace
}  // namespace sc::test
