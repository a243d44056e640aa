// Readiness follows the thread that writes to the database, not the one that reads.
#include "database_health.h"

#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "support/catch.h"
#include "support/held_thread.h"
#include "support/temp_dir.h"

namespace sc::test {
namespace {

using std::chrono::milliseconds;
using store::SqliteStore;

// The present and the time by which a test moves it on: the threads' jobs have real times.
class LaterClock final : public base::Clock {
 public:
  base::WallTime wall() const override { return real_.wall() + by_; }
  base::Instant steady() const override { return real_.steady() + by_; }
  std::string boot_id() const override { return real_.boot_id(); }
  void advance(milliseconds by) { by_ += by; }

 private:
  base::SystemClock real_;
  milliseconds by_{0};
};

struct DatabaseHealthFixture {
  DatabaseHealthFixture() {
    auto opened = SqliteStore::open((folder.path() / "s.db").string(),
                                    [](const base::Callback<void()>& /*answer*/) {});
    REQUIRE(opened);
    store = std::move(*opened);
    database_health = std::make_unique<DatabaseHealth>(
        *store, health, clock,
        [this](milliseconds, base::Callback<void()> function) { look = std::move(function); });
    database_health->start();
  }
  std::promise<void> hold(void (SqliteStore::*run)(base::Callback<void()>)) {
    return hold_thread(*store, run);
  }
  void look_after(milliseconds passed) {
    clock.advance(passed);
    auto due = std::move(look);
    due();
  }
  std::string components() const {
    std::string all;
    for (const core::Condition& each : health.conditions()) all += each.component + " ";
    return all;
  }

  const TempDir folder;
  LaterClock clock;
  core::Health health{clock};
  base::Callback<void()> look;
  std::unique_ptr<SqliteStore> store;
  std::unique_ptr<DatabaseHealth> database_health;
};

TEST_CASE_METHOD(DatabaseHealthFixture,
                 "queries that wait are reported by a condition of their own and leave the service "
                 "ready") {
  auto gate = hold(&SqliteStore::run_at_reader);
  look_after(DatabaseHealth::kStalled);
  CHECK(components().empty());
  look_after(DatabaseHealth::kStalledRead - DatabaseHealth::kStalled);
  CHECK(components() == "database-reads ");
  CHECK(health.is_ready());
  gate.set_value();
  while (store->threads().at(1)->busy_since()) std::this_thread::yield();
  look_after(milliseconds{0});
  CHECK(components().empty());
}

TEST_CASE_METHOD(DatabaseHealthFixture, "a write that waits makes the service unready") {
  auto gate = hold(&SqliteStore::run);
  look_after(DatabaseHealth::kStalled);
  CHECK(components() == "database ");
  CHECK_FALSE(health.is_ready());
  gate.set_value();
  while (store->threads().at(0)->busy_since()) std::this_thread::yield();
  look_after(milliseconds{0});
  CHECK(components().empty());
}

}  // namespace
}  // namespace sc::test
