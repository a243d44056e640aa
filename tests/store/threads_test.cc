// One thread writes and one reads, and neither makes the other wait.
#include <SQLiteCpp/Database.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <future>
#include <optional>
#include <string>
#include <vector>

#include "store/fixture.h"
#include "store/sqlite_store.h"
#include "support/catch.h"
#include "support/held_thread.h"

namespace sc::test {
namespace {

using base::Result;
using std::chrono::milliseconds;
using store::SqliteStore;

struct Threads {
  explicit Threads(milliseconds patience = SqliteStore::kPatience) {
    const ConnectionSpy spy;
    auto opened = SqliteStore::open(file, control.post(), patience);
    REQUIRE(opened);
    store = std::move(*opened);
    connection = spy.writer();
    store->set_later(
        [this](milliseconds, base::Callback<void()> look) { looks.push_back(std::move(look)); });
  }
  // Looks at the calls that wait, as the control thread does every now and then.
  void look() {
    auto due = std::exchange(looks, {});
    for (auto& each : due) each();
  }
  std::promise<void> hold(void (SqliteStore::*run)(base::Callback<void()>)) {
    return hold_thread(*store, run);
  }
  std::string commit(std::vector<core::StoreWrite> writes) {
    std::string answer;
    store->commit(std::move(writes),
                  [&](Result<void> saved) { answer = saved ? "saved" : saved.error().message; });
    control.run_until([&] { return !answer.empty(); });
    return answer;
  }
  void on_writer(const std::function<void()>& function) {
    std::promise<void> done;
    store->run([&] {
      function();
      done.set_value();
    });
    done.get_future().wait();
  }
  std::string ports() {
    return query(file, "SELECT group_concat(port) FROM (SELECT port FROM streams ORDER BY port)")
        .front();
  }

  TempFolder folder;
  std::string file = folder / "s.db";
  ControlThread control;
  sqlite3* connection = nullptr;  // the writer's
  std::vector<base::Callback<void()>> looks;
  std::unique_ptr<SqliteStore> store;
};

TEST_CASE("history, tokens and the past are answered while the writer is busy") {
  Threads threads;
  REQUIRE(threads.commit(created(9000)) == "saved");
  auto gate = threads.hold(&SqliteStore::run);
  std::optional<std::size_t> events;
  std::optional<std::size_t> streams;
  bool has_tokens = false;
  threads.store->history({}, [&](auto page) { events = page->events.size(); });
  threads.store->as_of(minute(1000), [&](auto then) { streams = then->size(); });
  threads.store->load_tokens({}, [&](auto tokens) { has_tokens = tokens->has_value(); });
  threads.control.run_until([&] { return events && streams && has_tokens; });
  CHECK(events == 1);
  CHECK(streams == 1);
  const base::Instant later = std::chrono::steady_clock::now() + milliseconds{10};
  CHECK(threads.store->oldest_write(later) >= milliseconds{10});
  CHECK(threads.store->oldest_job(later) == threads.store->oldest_write(later));
  gate.set_value();
}

TEST_CASE("history, tokens and the past are answered while another program locks the database") {
  Threads threads;
  REQUIRE(threads.commit(created(9000)) == "saved");
  SQLite::Database shell(threads.file, SQLite::OPEN_READWRITE);
  shell.exec("BEGIN EXCLUSIVE");
  threads.store->commit(created(9001), [](const auto&) {});
  bool is_answered = false;
  threads.store->history({}, [&](auto page) {
    CHECK(page);
    is_answered = true;
  });
  threads.control.run_until([&] { return is_answered; });
  CHECK(threads.store->queued() == 1);
  shell.exec("ROLLBACK");
}

TEST_CASE("changes that wait for a lock fail together, each counted from its own beginning") {
  Threads threads(milliseconds{1000});
  SQLite::Database shell(threads.file, SQLite::OPEN_READWRITE);
  shell.exec("BEGIN IMMEDIATE");
  std::vector<std::string> answers;
  std::optional<base::Error> trouble;
  threads.store->set_on_trouble([&](const auto& now) { trouble = now; });
  const base::Instant began = std::chrono::steady_clock::now();
  for (std::uint16_t port = 9000; port < 9003; ++port)
    threads.store->commit(created(port), [&](Result<void> saved) {
      answers.push_back(saved ? "saved" : saved.error().message);
    });
  threads.control.run_until([&] { return answers.size() == 3 && trouble; });
  const auto took = std::chrono::steady_clock::now() - began;
  CHECK(took >= milliseconds{1000});
  CHECK(took < milliseconds{2000});
  for (const std::string& answer : answers)
    CHECK_THAT(answer, Catch::Contains("another program holds a lock on the database"));
  shell.exec("ROLLBACK");
  CHECK(threads.commit(created(9005)) == "saved");
  threads.control.run_until([&] { return !trouble; });
  CHECK(threads.ports() == "9005");
}

TEST_CASE("a change that is not passed to the database in time is withdrawn") {
  Threads threads(milliseconds{0});
  auto gate = threads.hold(&SqliteStore::run);
  std::optional<Result<void>> answer;
  threads.store->commit(created(9000), [&](Result<void> saved) { answer = std::move(saved); });
  threads.look();
  REQUIRE(answer);
  REQUIRE_FALSE(*answer);
  CHECK(answer->error().code == base::Errc::unavailable);
  CHECK_THAT(answer->error().message, Catch::Contains("nothing was written"));
  gate.set_value();
  threads.on_writer([] {});
  CHECK(threads.ports().empty());
}

TEST_CASE("a query whose answer does not come in time fails, and it is not run any more") {
  Threads threads(milliseconds{0});
  auto gate = threads.hold(&SqliteStore::run_at_reader);
  const auto before = count_open(threads.file);
  int answers = 0;
  threads.store->history({}, [&](auto page) {
    CHECK_FALSE(page);
    ++answers;
  });
  threads.look();
  CHECK(answers == 1);
  gate.set_value();
  threads.control.run();  // the late answer
  CHECK(answers == 1);
  CHECK(count_open(threads.file) == before);  // the first query would open it
}

TEST_CASE("more queries than a thousand do not wait for a reader that does not answer") {
  Threads threads;
  auto gate = threads.hold(&SqliteStore::run_at_reader);
  std::vector<std::string> answers;
  const auto ask = [&] {
    threads.store->history({}, [&](Result<core::HistoryPage> page) {
      answers.push_back(page ? "answered" : page.error().message);
    });
  };
  for (std::size_t i = 0; i < SqliteStore::kMostQueries; ++i) ask();
  ask();
  threads.control.run_until([&] { return !answers.empty(); });
  CHECK_THAT(answers.front(), Catch::Contains("too many queries wait"));
  gate.set_value();
  threads.control.run_until([&] { return answers.size() == SqliteStore::kMostQueries + 1; });
  CHECK(answers.back() == "answered");
  answers.clear();
  ask();
  threads.control.run_until([&] { return !answers.empty(); });
  CHECK(answers.front() == "answered");
}

TEST_CASE("more changes than a limit do not wait for a writer that does not answer") {
  Threads threads(milliseconds{0});
  auto gate = threads.hold(&SqliteStore::run);
  std::vector<std::string> answers;
  const auto ask = [&] {
    threads.store->commit(created(9000), [&](Result<void> saved) {
      answers.push_back(saved ? "saved" : saved.error().message);
    });
  };
  while (threads.store->queued() < SqliteStore::kMostWritesOfHungDisk) ask();
  while (threads.store->oldest_write(std::chrono::steady_clock::now()) <= milliseconds{0})
    std::this_thread::yield();
  ask();
  threads.control.run_until([&] { return !answers.empty(); });
  CHECK_THAT(answers.front(), Catch::Contains("too many changes wait"));
  CHECK(threads.store->queued() == SqliteStore::kMostWritesOfHungDisk);
  threads.store->note_token_use("digest", minute(0));
  CHECK(threads.store->queued() == SqliteStore::kMostWritesOfHungDisk);
  answers.clear();
  threads.look();  // the callers leave
  CHECK(answers.size() == SqliteStore::kMostWritesOfHungDisk - 1);
  gate.set_value();
  threads.on_writer([] {});
  CHECK(threads.ports().empty());
}

// More than a few pages, and therefore more than there is space for.
std::vector<core::StoreWrite> large(std::uint16_t port) {
  auto writes = created(port);
  for (int i = 0; i < 20; ++i)
    writes.emplace_back(
        event(0, core::EventAction::failed, port, "", "x:1", "service", std::string(4000, 'd')));
  return writes;
}

TEST_CASE("facts that the disk refuses are written later, by themselves and in their order") {
  Threads threads;
  std::vector<bool> troubles;
  threads.store->set_on_trouble(
      [&](const auto& trouble) { troubles.push_back(trouble.has_value()); });
  threads.on_writer([&] {
    ask(threads.connection,
        "PRAGMA max_page_count = " + ask(threads.connection, "PRAGMA page_count"));
  });
  threads.store->record(large(9000));
  threads.store->record({core::EraseStream{9000}});
  threads.store->record(large(9001));
  threads.control.run_until([&] { return !troubles.empty(); });
  CHECK_THAT(threads.commit(large(9002)), Catch::Contains("the disk is full"));
  CHECK(threads.ports().empty());
  threads.on_writer([&] { ask(threads.connection, "PRAGMA max_page_count = 1000000"); });
  threads.control.run_until([&] { return troubles == std::vector<bool>{true, false}; });
  CHECK(threads.ports() == "9001");
  CHECK(threads.commit(created(9003)) == "saved");
}

TEST_CASE("a store ends in time although another program holds a lock") {
  Threads threads;
  SQLite::Database shell(threads.file, SQLite::OPEN_READWRITE);
  shell.exec("BEGIN IMMEDIATE");
  threads.store->commit(created(9000), [](const auto&) {});
  const base::Instant began = std::chrono::steady_clock::now();
  CHECK(threads.store->finish(milliseconds{100}));
  CHECK(std::chrono::steady_clock::now() - began < SqliteStore::kPatience);
  shell.exec("ROLLBACK");
}

// A store with events that can be pruned, and another program that holds a lock on its database.
struct Locked : Threads {
  Locked() {
    for (int i = 0; i < 3; ++i) REQUIRE(commit(history_of(9000)) == "saved");
    shell.emplace(file, SQLite::OPEN_READWRITE);
    shell->exec("BEGIN IMMEDIATE");
  }
  static std::vector<core::StoreWrite> history_of(std::uint16_t port) {
    return {event(0, core::EventAction::changed, port, "x:1", "x:2", "service", "")};
  }
  void prune() {
    store->prune_history(minute(1000), 0, [this](Result<core::PruneStep> done) {
      pruned = done ? std::to_string(done->deleted) + " deleted" : done.error().message;
    });
  }
  // Returns false if the writer does not wait for a lock within ten seconds.
  bool wait_for_lock() const {
    const base::Instant until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!store->is_locked() && std::chrono::steady_clock::now() < until)
      std::this_thread::yield();
    return store->is_locked();
  }

  std::optional<SQLite::Database> shell;
  std::string pruned;
};

TEST_CASE_METHOD(Locked, "a change does not wait behind pruning that waits for a lock") {
  prune();
  CHECK(wait_for_lock());
  const base::Instant began = std::chrono::steady_clock::now();
  std::string answer;
  store->commit(created(9001),
                [&](Result<void> saved) { answer = saved ? "saved" : saved.error().message; });
  control.run_until([&] { return !pruned.empty(); });
  CHECK_THAT(pruned, Catch::Contains("another program holds a lock on the database"));
  CHECK(std::chrono::steady_clock::now() - began < milliseconds{900});
  CHECK(answer.empty());
  shell->exec("ROLLBACK");
  control.run_until([&] { return !answer.empty(); });
  CHECK(answer == "saved");
  pruned.clear();
  prune();
  control.run_until([&] { return !pruned.empty(); });
  CHECK(pruned == "1 deleted");
}

TEST_CASE_METHOD(Locked, "pruning gives up after a second while another program holds a lock") {
  const base::Instant began = std::chrono::steady_clock::now();
  prune();
  CHECK(wait_for_lock());
  control.run_until([&] { return !pruned.empty(); });
  CHECK_THAT(pruned, Catch::Contains("another program holds a lock on the database"));
  CHECK(std::chrono::steady_clock::now() - began < milliseconds{3000});
  on_writer([] {});
  CHECK_FALSE(store->is_locked());
}

TEST_CASE_METHOD(Locked, "a store's end does not wait for a note of a token's use") {
  store->note_token_use("digest", minute(0));
  CHECK(wait_for_lock());
  const base::Instant began = std::chrono::steady_clock::now();
  CHECK(store->finish(milliseconds{3000}));
  CHECK(std::chrono::steady_clock::now() - began < milliseconds{900});
}

TEST_CASE("a store whose thread hangs reports that at its end") {
  Threads threads;
  auto gate = threads.hold(&SqliteStore::run);
  CHECK_FALSE(threads.store->finish(milliseconds{1}));
  gate.set_value();
}

TEST_CASE("the reader uses a database that was opened again, with its tokens") {
  Threads threads;
  std::optional<std::int64_t> version;
  const auto load = [&] {
    std::optional<std::optional<core::TokenSnapshot>> tokens;
    threads.store->load_tokens(version, [&](auto found) { tokens = *found; });
    threads.control.run_until([&] { return tokens.has_value(); });
    if (*tokens) version = (*tokens)->version;
    return tokens->has_value();
  };
  CHECK(load());
  CHECK_FALSE(load());
  // Another file of the same content.
  execute(threads.file, "VACUUM INTO '" + threads.file + ".copy'");
  std::filesystem::rename(threads.file + ".copy", threads.file);
  bool is_open = false;
  threads.store->reopen([&](base::Result<bool> opened) {
    REQUIRE(opened);
    CHECK(*opened);
    is_open = true;
  });
  threads.control.run_until([&] { return is_open; });
  CHECK(load());  // the store cannot know that the tokens are the same
  CHECK(threads.commit(created(9000)) == "saved");
}

// As the user nobody, in a folder of root: a read-only disk has the same effect.
std::string as_reader_only(const std::string& file) {
  ControlThread control;
  auto opened = SqliteStore::open(file, control.post());
  if (!opened) return "refused: " + opened.error().message;
  const auto stored = (*opened)->load_now();
  const auto saved = (*opened)->commit_now(created(9001));
  std::optional<base::Error> trouble;
  (*opened)->set_on_trouble([&](const auto& now) { trouble = now; });
  return (stored ? std::to_string(stored->streams.size()) : stored.error().message) + " streams, " +
         (saved ? "saved" : saved.error().message) + ", " + (trouble ? "trouble" : "fine");
}

TEST_CASE("a database that can only be read gives its streams and refuses changes",
          "[root-refusal]") {
  REQUIRE(::getuid() == 0);  // to become another user
  const TempFolder folder;
  const std::filesystem::path state = folder.path() / "state";
  const std::string file = (state / "s.db").string();
  std::filesystem::create_directory(state);
  {
    auto database = store::Database::open(file);
    REQUIRE(database);
    REQUIRE(commit(**database, created(9000)));
  }
  ::chmod(state.c_str(), 0755);
  ::chmod(file.c_str(), 0644);
  const bool has_log = GENERATE(false, true);
  if (!has_log) {
    std::filesystem::remove(file + "-wal");
    std::filesystem::remove(file + "-shm");
  } else {
    ::chmod((file + "-wal").c_str(), 0644);
    ::chmod((file + "-shm").c_str(), 0644);
  }
  const std::string seen = in_child([&file] { return as_reader_only(file); }, 65534);
  CHECK_THAT(seen, Catch::StartsWith("1 streams, ") && Catch::Contains("EACCES") &&
                       Catch::EndsWith(", trouble"));
}

}  // namespace
}  // namespace sc::test
