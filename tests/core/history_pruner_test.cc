#include "core/history_pruner.h"

#include <deque>
#include <utility>

#include "support/catch.h"
#include "support/fake_store.h"
#include "support/manual_clock.h"

namespace sc::test {
namespace {

using namespace std::chrono_literals;
using core::HistoryPruner;
using std::chrono::milliseconds;

// A pruner whose delays pass when the test says so.
struct PrunerFixture {
  explicit PrunerFixture(milliseconds keep = 24h)
      : pruner(store, clock, keep, [this](milliseconds delay, base::Callback<void()> function) {
          waiting.emplace_back(delay, std::move(function));
        }) {}

  // Lets the only delay pass and returns it.
  milliseconds pass() {
    REQUIRE(waiting.size() == 1);
    auto [delay, function] = std::move(waiting.front());
    waiting.pop_front();
    clock.advance(delay);
    function();
    return delay;
  }

  ManualClock clock;
  FakeStore store;
  std::deque<std::pair<milliseconds, base::Callback<void()>>> waiting;
  HistoryPruner pruner;
};

TEST_CASE_METHOD(PrunerFixture, "a pass of pruning goes on where each step ended, with pauses") {
  store.prune_steps = {{.next_port = 9001, .deleted = 500}, {.next_port = 9001, .deleted = 500}};
  pruner.start();
  CHECK(pass() == HistoryPruner::kFirst);
  const base::WallTime before = clock.wall() - 24h;
  clock.advance(70ms);  // a slow disk
  store.answer_one();
  CHECK(pass() == 70ms);
  store.answer_one();
  CHECK(pass() == HistoryPruner::kLeastPause);
  store.answer_one();
  CHECK(store.pruned == std::vector<std::pair<base::WallTime, std::uint16_t>>{
                            {before, 0}, {before, 9001}, {before, 9001}});
  CHECK(pass() == HistoryPruner::kEvery);  // the next pass
  store.answer_one();
  CHECK(store.pruned.back() == std::pair{clock.wall() - 24h, std::uint16_t{0}});
}

TEST_CASE_METHOD(PrunerFixture, "a step that fails is tried again in the next pass") {
  store.failure = base::Error{base::Errc::unavailable, "the disk is full"};
  pruner.start();
  pass();
  store.answer_one();
  store.failure.reset();
  CHECK(pass() == HistoryPruner::kEvery);
  store.answer_one();
  CHECK(store.pruned.size() == 1);
}

TEST_CASE_METHOD(PrunerFixture, "no step of pruning begins once the service stops") {
  store.prune_steps = {{.next_port = 9001, .deleted = 500}};
  pruner.start();
  pass();
  store.answer_one();
  pruner.stop();
  pass();
  CHECK(store.waiting() == 0);
}

TEST_CASE("a history that is kept for ever is not pruned") {
  PrunerFixture forever(0ms);
  forever.pruner.start();
  CHECK(forever.waiting.empty());
  CHECK(forever.store.waiting() == 0);
}

}  // namespace
}  // namespace sc::test
