#include "handoff/start_rate.h"

#include <chrono>
#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

#include "handoff/table.h"
#include "support/catch.h"
#include "support/fake_fd_store.h"

namespace sc::test {
namespace {

using handoff::note_start;
using handoff::StartRate;
using std::chrono::milliseconds;

constexpr milliseconds kNone{0};

struct StartsFixture {
  FakeFdStore manager;
  std::unique_ptr<handoff::Table> table = make_table();
  base::Instant now{std::chrono::hours(5)};

  std::unique_ptr<handoff::Table> make_table() {
    auto made = handoff::Table::make(16);
    REQUIRE(made);
    REQUIRE(manager.link().put(handoff::kTableName, (*made)->fd()));
    return std::move(*made);
  }
  milliseconds start() const { return note_start(manager.passed(), now); }
  // How many of those that follow each other without any pause need not wait.
  int starts_at_once() const {
    for (int count = 0;; ++count) {
      if (start() > kNone) return count;
      REQUIRE(count < 10 * StartRate::kAtOnce);
    }
  }
};

TEST_CASE_METHOD(StartsFixture, "a process that follows many others that did not live waits") {
  CHECK(starts_at_once() == StartRate::kAtOnce);
  for (int i = 0; i < 3; ++i) {
    now += StartRate::kEvery;  // it waited
    CHECK(start() == StartRate::kEvery);
  }
}

TEST_CASE_METHOD(StartsFixture, "a pause earns as many starts as there would have been in it") {
  starts_at_once();
  now += 11 * StartRate::kEvery;
  CHECK(starts_at_once() == 10);
  now += std::chrono::hours(1);
  CHECK(starts_at_once() == StartRate::kAtOnce);
}

TEST_CASE_METHOD(StartsFixture, "restarts that come four times a second never wait") {
  for (int i = 0; i < 3 * StartRate::kAtOnce; ++i) {
    CHECK(start() == kNone);
    now += StartRate::kEvery;
  }
}

TEST_CASE_METHOD(StartsFixture, "no number in the table makes a process wait for longer") {
  for (const std::int64_t told : {std::numeric_limits<std::int64_t>::max(),
                                  std::numeric_limits<std::int64_t>::min(), std::int64_t{0}}) {
    table->header().starts_paid_until = told;
    CHECK(start() <= StartRate::kEvery);
    now += StartRate::kEvery;
    CHECK(start() <= StartRate::kEvery);
  }
}

TEST_CASE("a process that finds no table, or none that can be read, does not wait") {
  const base::Instant now{std::chrono::hours(5)};
  CHECK(note_start({}, now) == kNone);
  std::vector<handoff::StoredFd> stored;
  stored.push_back({handoff::kTableName, base::Fd()});
  CHECK(note_start(stored, now) == kNone);
}

}  // namespace
}  // namespace sc::test
