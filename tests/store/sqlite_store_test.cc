#include "store/sqlite_store.h"

#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <future>
#include <numeric>
#include <thread>

#include "store/database.h"
#include "store/fixture.h"
#include "support/catch.h"
#include "support/fake_host.h"

namespace sc::test {
namespace {

using base::Result;
using store::SqliteStore;

int count_commit(void* counter) {
  static_cast<std::atomic<int>*>(counter)->fetch_add(1);
  return 0;
}

struct Running {
  // So far, those that failed among them.
  std::uint64_t transactions() const {
    const core::Histogram times = store->commits().times();
    return std::accumulate(times.counts.begin(), times.counts.end(), std::uint64_t{0});
  }
  Running() {
    const ConnectionSpy spy;
    auto opened = SqliteStore::open(file, control.post());
    REQUIRE(opened);
    store = std::move(*opened);
    there([this, connection = spy.writer()] {
      sqlite3_commit_hook(connection, &count_commit, &sqlite_commits);
    });
  }
  void there(const std::function<void()>& function) {
    std::promise<void> done;
    store->run([&] {
      function();
      done.set_value();
    });
    done.get_future().wait();
  }
  // Keeps the store's thread busy until the returned promise is set.
  std::promise<void> hold() {
    std::promise<void> gate;
    std::promise<void> reached;
    store->run([&reached, open = gate.get_future()]() mutable {
      reached.set_value();
      open.wait();
    });
    reached.get_future().wait();  // what is asked for from now on waits together
    return gate;
  }
  std::string stored() { return query(file, "SELECT count(*) FROM streams").front(); }

  TempFolder folder;
  std::string file = folder / "s.db";
  ControlThread control;
  std::atomic<int> sqlite_commits{0};
  std::unique_ptr<SqliteStore> store;
};

TEST_CASE("a commit is answered on the control thread once its rows can be read") {
  Running running;
  bool answered = false;
  running.store->commit(created(9000), [&](Result<void> saved) {
    CHECK(saved);
    answered = true;
  });
  running.control.run();
  CHECK(answered);
  CHECK(query(running.file, "SELECT port, backend FROM mappings") ==
        std::vector<std::string>{"9000|x:1"});
}

TEST_CASE("a load answers with what the commits before it have left") {
  Running running;
  auto gate = running.hold();
  std::vector<std::size_t> seen;
  const auto look = [&](Result<core::StoredStreams> found) {
    REQUIRE(found);
    seen.push_back(found->streams.size());
  };
  running.store->load(look);
  running.store->commit(created(9000), [](Result<void>) {});
  running.store->commit(created(9001), [](Result<void>) {});
  running.store->load(look);
  running.store->commit({core::EraseStream{9000}}, [](Result<void>) {});
  running.store->load(look);
  gate.set_value();
  running.control.run_until([&] { return seen.size() == 3; });
  CHECK(seen == std::vector<std::size_t>{0, 2, 1});
}

TEST_CASE("a hundred commits that wait share one transaction and are answered in order") {
  Running running;
  auto gate = running.hold();
  std::vector<int> answers;
  for (int i = 0; i < 100; ++i)
    running.store->commit(created(static_cast<std::uint16_t>(9000 + i)),
                          [&, i](Result<void> saved) {
                            CHECK(saved);
                            answers.push_back(i);
                          });
  gate.set_value();
  running.control.run_until([&] { return answers.size() == 100; });
  for (int i = 0; i < 100; ++i) CHECK(answers.at(static_cast<std::size_t>(i)) == i);
  CHECK(running.transactions() == 1);
  CHECK(running.sqlite_commits == 1);
  CHECK(running.stored() == "100");
}

TEST_CASE("one commit of a group that the database does not accept fails alone and whole") {
  Running running;
  auto gate = running.hold();
  std::vector<bool> answers;
  const auto note = [&](Result<void> saved) { answers.push_back(saved.has_value()); };
  running.store->commit(created(9000), note);
  running.store->commit({core::AddStream{stream(9001, "x")}, core::AddStream{stream(0, "x")}},
                        note);
  running.store->commit(created(9002), note);
  gate.set_value();
  running.control.run_until([&] { return answers.size() == 3; });
  CHECK(answers == std::vector<bool>{true, false, true});
  CHECK(running.transactions() == 1);
  CHECK(query(running.file, "SELECT port FROM streams") ==
        std::vector<std::string>{"9000", "9002"});
}

TEST_CASE("that something was recorded is told behind the answers, once for commits of a group") {
  Running running;
  std::vector<std::string> told;
  const auto note = [&](Result<void> saved) { told.emplace_back(saved ? "saved" : "refused"); };
  running.store->set_on_recorded([&] { told.emplace_back("recorded"); });
  auto gate = running.hold();
  running.store->commit(created(9000), note);
  running.store->commit({core::AddStream{stream(0, "x")}}, note);
  gate.set_value();
  running.control.run_until([&] { return told.size() == 3; });
  CHECK(told == std::vector<std::string>{"saved", "refused", "recorded"});

  told.clear();
  running.store->commit({core::AddStream{stream(0, "x")}}, note);  // nothing is there that was not
  running.store->commit(created(9001), note);
  running.control.run_until([&] { return !told.empty() && told.back() == "recorded"; });
  CHECK(std::count(told.begin(), told.end(), "recorded") == 1);
}

TEST_CASE("transactions are told with how long they took, what waits with its number") {
  Running running;
  auto gate = running.hold();
  while (running.store->queued() > 1) std::this_thread::yield();  // it is done, and not counted off
  int answers = 0;
  for (std::uint16_t port = 9000; port < 9003; ++port)
    running.store->commit(created(port), [&](Result<void>) { ++answers; });
  CHECK(running.store->queued() == 4);  // and what holds it up
  const base::Instant began = std::chrono::steady_clock::now();
  gate.set_value();
  running.control.run_until([&] { return answers == 3; });
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  CHECK(running.store->queued() == 0);
  const core::Histogram times = running.store->commits().times();
  REQUIRE(times.counts.size() == times.bounds.size() + 1);
  CHECK(running.transactions() == 1);
  CHECK(times.sum > 0);
  CHECK(times.sum < took.count());
  CHECK(running.store->commits().failures() == 0);
}

TEST_CASE("a function is run on the store's thread, in its turn") {
  Running running;
  std::promise<std::string> seen;
  std::thread::id there;
  running.store->commit(created(9000), [](Result<void>) {});
  running.store->run([&] {
    there = std::this_thread::get_id();
    seen.set_value(running.stored());
  });
  CHECK(seen.get_future().get() == "1");
  CHECK(there != std::this_thread::get_id());
}

TEST_CASE("a store that is destroyed writes what is queued and calls nobody") {
  Running running;
  auto gate = running.hold();
  const auto kept = std::make_shared<int>(0);
  const auto count = [kept](Result<void>) { ++*kept; };
  for (std::uint16_t port = 9000; port < 9020; ++port) running.store->commit(created(port), count);
  running.store->load([kept](Result<core::StoredStreams>) { ++*kept; });
  gate.set_value();
  running.store.reset();
  CHECK(running.stored() == "20");
  running.control.run(21);  // posted, but too late
  CHECK(*kept == 0);
  CHECK(kept.use_count() == 2);  // ours and count's: the callbacks are destroyed
}

TEST_CASE("a callback may destroy the store, and those behind it are not called") {
  Running running;
  auto gate = running.hold();
  int called = 0;
  running.store->commit(created(9000), [&](Result<void>) {
    ++called;
    running.store.reset();
  });
  running.store->commit(created(9001), [&](Result<void>) { ++called; });
  gate.set_value();
  running.control.run();
  CHECK(called == 1);
  CHECK(running.stored() == "2");
}

TEST_CASE("a callback may commit again") {
  Running running;
  int left = 5;
  std::function<void()> next = [&] {
    running.store->commit(created(static_cast<std::uint16_t>(9000 + left)),
                          [&](Result<void> saved) {
                            CHECK(saved);
                            if (--left > 0) next();
                          });
  };
  next();
  running.control.run_until([&] { return left == 0; });
  CHECK(running.transactions() == 5);
  CHECK(running.stored() == "5");
}

// Commits one stream after the other and writes a byte for each answer, until it is killed.
[[noreturn]] void commit_until_killed(const std::string& file, int answers) {
  ControlThread control;
  auto store = SqliteStore::open(file, control.post());
  for (std::uint16_t port = 1; store && port < 65535; ++port) {
    bool saved = false;
    (*store)->commit(created(port), [&saved](Result<void> result) { saved = result.has_value(); });
    control.run();
    if (!saved || ::write(answers, "x", 1) != 1) break;
  }
  ::_exit(1);
}

TEST_CASE("what was answered is there after a kill -9 in the middle") {
  const TempFolder folder;
  const std::string file = folder / "s.db";
  std::array<int, 2> ends{};
  REQUIRE(::pipe(ends.data()) == 0);
  const base::Fd answers(ends[0]);
  base::Fd theirs(ends[1]);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) commit_until_killed(file, theirs.get());
  theirs.reset();
  std::size_t acknowledged = 0;
  std::array<char, 256> part{};
  while (acknowledged < 50) {
    const ssize_t size = ::read(answers.get(), part.data(), part.size());
    REQUIRE(size > 0);
    acknowledged += static_cast<std::size_t>(size);
  }
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  for (ssize_t size = 0; (size = ::read(answers.get(), part.data(), part.size())) > 0;)
    acknowledged += static_cast<std::size_t>(size);
  auto database = store::Database::open(file);
  REQUIRE(database);
  const auto stored = (*database)->load();
  REQUIRE(stored);
  CHECK(stored->streams.size() >= acknowledged);
  CHECK(stored->streams.size() <= acknowledged + 1);
  CHECK(query(file, "SELECT count(*) FROM stream_events") ==
        std::vector<std::string>{std::to_string(stored->streams.size())});
}

TEST_CASE("a host that gives no thread refuses the store, and leaves signals and file usable") {
  const TempFolder folder;
  const std::string file = folder / "s.db";
  ControlThread control;
  {
    FakeHost host;
    host.refuse_threads_after(0);
    const auto refused = SqliteStore::open(file, control.post());
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message ==
          "the host gives no thread for the store: Resource temporarily unavailable (EAGAIN)");
  }
  sigset_t blocked{};
  ::pthread_sigmask(SIG_BLOCK, nullptr, &blocked);
  CHECK(::sigismember(&blocked, SIGTERM) == 0);
  CHECK(SqliteStore::open(file, control.post()));
}

}  // namespace
}  // namespace sc::test
