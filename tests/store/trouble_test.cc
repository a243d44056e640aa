// The disk and other programs get in the way while the service runs.
#include <SQLiteCpp/Database.h>
#include <sqlite3.h>
#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <future>

#include "store/fixture.h"
#include "store/sqlite_store.h"
#include "support/catch.h"

namespace sc::test {
namespace {

using base::Result;
using store::SqliteStore;

struct Troubled {
  explicit Troubled(std::chrono::milliseconds patience = SqliteStore::kPatience) {
    const ConnectionSpy spy;
    auto opened = SqliteStore::open(file, control.post(), patience);
    REQUIRE(opened);
    connection = spy.writer();
    store = std::move(*opened);
    REQUIRE(commit(created(8999)) == "saved");
  }
  // On the store's thread, and done when it returns.
  void there(const std::function<void()>& function) {
    std::promise<void> done;
    store->run([&] {
      function();
      done.set_value();
    });
    done.get_future().wait();
  }
  // The answers of commits that share a transaction.
  std::vector<std::string> commit_together(std::vector<std::vector<core::StoreWrite>> group) {
    std::promise<void> gate;
    store->run([open = gate.get_future()]() mutable { open.wait(); });
    std::vector<std::string> answers;
    const std::size_t wanted = group.size();
    for (auto& writes : group)
      store->commit(std::move(writes), [&answers](Result<void> saved) {
        answers.push_back(saved ? "saved"
                                : std::string(to_string(saved.error().code)) + ": " +
                                      saved.error().message);
      });
    gate.set_value();
    control.run_until([&] { return answers.size() == wanted; });
    return answers;
  }
  std::string commit(std::vector<core::StoreWrite> writes) {
    std::vector<std::vector<core::StoreWrite>> group;
    group.push_back(std::move(writes));
    return commit_together(std::move(group)).front();
  }
  std::string ports() {
    return query(file, "SELECT group_concat(port) FROM (SELECT port FROM streams ORDER BY port)")
        .front();
  }

  TempFolder folder;
  std::string file = folder / "s.db";
  ControlThread control;
  sqlite3* connection = nullptr;  // the store's thread
  std::unique_ptr<SqliteStore> store;
};

// More than a few pages, and therefore more than there is room for.
std::vector<core::StoreWrite> large(std::uint16_t port) {
  auto writes = created(port);
  for (int i = 0; i < 20; ++i)
    writes.emplace_back(
        event(0, core::EventAction::failed, port, "", "x:1", "service", std::string(4000, 'd')));
  return writes;
}

TEST_CASE("a full disk fails the commit with the reason, and later ones work again") {
  Troubled troubled;
  troubled.there([&] {
    ask(troubled.connection,
        "PRAGMA max_page_count = " + ask(troubled.connection, "PRAGMA page_count"));
  });
  // What still fits into the pages that there are is saved.
  const auto answers = troubled.commit_together({created(9000), large(9001), large(9002)});
  REQUIRE(answers.size() == 3);
  const std::string full =
      "unavailable: the database did not take it: the disk is full (database or disk is full): No"
      " space left on device (ENOSPC)";
  CHECK(answers[1] == full);
  CHECK(answers[2] == full);
  CHECK(troubled.ports() == (answers[0] == "saved" ? "8999,9000" : "8999"));
  CHECK(query(troubled.file, "SELECT count(*) FROM stream_events WHERE port > 9000") ==
        std::vector<std::string>{"0"});
  troubled.there([&] { ask(troubled.connection, "PRAGMA max_page_count = 1000000"); });
  CHECK(troubled.commit(large(9001)) == "saved");
  CHECK(troubled.commit(large(9002)) == "saved");
  CHECK_THAT(troubled.ports(), Catch::EndsWith("9001,9002"));
}

// Writes of this process beyond `bytes` of a file fail with EFBIG while this lives.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(std::uintmax_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    rlimit limit = before_;
    limit.rlim_cur = bytes;
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  void (*handler_)(int);
};

TEST_CASE("a COMMIT that the disk refuses fails the whole group, and later ones work again") {
  Troubled troubled;
  std::vector<std::string> answers;
  {
    const FileSizeLimit limit(std::filesystem::file_size(troubled.file + "-wal") + 4096);
    answers = troubled.commit_together({created(9000), created(9001)});
  }
  REQUIRE(answers.size() == 2);
  CHECK_THAT(answers[0],
             Catch::StartsWith("unavailable: ") && Catch::Contains("the disk reports an error"));
  CHECK(answers[1] == answers[0]);
  CHECK(troubled.ports() == "8999");
  CHECK(troubled.commit_together({created(9002), created(9003)}) ==
        std::vector<std::string>{"saved", "saved"});
  troubled.store.reset();
  auto again = store::Database::open(troubled.file);
  REQUIRE(again);
  CHECK(troubled.ports() == "8999,9002,9003");
}

TEST_CASE("somebody's shell with an open transaction delays a commit and does not break it") {
  Troubled troubled;
  SQLite::Database shell(troubled.file, SQLite::OPEN_READWRITE);
  shell.exec("BEGIN IMMEDIATE");
  std::promise<void> waits;
  std::string answer;
  troubled.store->run([&] { waits.set_value(); });
  troubled.store->commit(created(9000),
                         [&](Result<void> saved) { answer = saved ? "saved" : "failed"; });
  waits.get_future().wait();
  shell.exec("COMMIT");
  troubled.control.run();
  CHECK(answer == "saved");
}

TEST_CASE("a lock that outlasts the patience fails the commit with the reason") {
  Troubled troubled(std::chrono::milliseconds(100));
  {
    SQLite::Database shell(troubled.file, SQLite::OPEN_READWRITE);
    shell.exec("BEGIN IMMEDIATE");
    CHECK(troubled.commit(created(9000)) ==
          "unavailable: the database did not take it: another program holds a lock on the"
          " database (database is locked)");
    CHECK(troubled.store->commits().failures() == 1);
  }
  CHECK(troubled.commit(created(9000)) == "saved");
  CHECK(troubled.store->commits().failures() == 1);
}

}  // namespace
}  // namespace sc::test
