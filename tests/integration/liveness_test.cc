#include "liveness.h"

#include <memory>
#include <string>
#include <vector>

#include "support/catch.h"
#include "support/manual_clock.h"

namespace sc::test {
namespace {

using std::chrono::milliseconds;

struct LivenessFixture {
  bool answers = true;
  bool has_answered = true;
  bool is_held_up = false;
  int asked = 0;
  std::vector<bool> told;
  ManualClock clock;
  loop::Loop loop;
  core::Health health{clock};
  std::unique_ptr<Liveness> liveness = make();

  std::unique_ptr<Liveness> make() {
    std::vector<WatchedThread> threads;
    threads.push_back({.name = "worker-1",
                       .ask =
                           [this] {
                             ++asked;
                             has_answered = answers;
                           },
                       .has_answered = [this] { return has_answered; },
                       .is_held_up = [this] { return is_held_up; },
                       .held_up = "the disk is slow",
                       .on_still = [this](bool is_still) { told.push_back(is_still); }});
    return std::make_unique<Liveness>(loop, std::move(threads), health, clock);
  }
  void look(milliseconds after = Liveness::kEvery) {
    clock.advance(after);
    liveness->look();
  }
  void look_for(milliseconds duration) {
    for (milliseconds passed{0}; passed < duration; passed += Liveness::kEvery) look();
  }
  milliseconds silence() const { return liveness->silences().front().duration; }
};

TEST_CASE_METHOD(LivenessFixture, "a thread that answers is alive, and is asked in every look") {
  look_for(10 * Liveness::kLimit);
  CHECK(liveness->is_alive());
  CHECK(health.is_ready());
  CHECK(asked == 10 * Liveness::kLimit / Liveness::kEvery);
  CHECK(silence() == milliseconds{0});
  CHECK(told.empty());
}

TEST_CASE_METHOD(LivenessFixture, "a thread that does not answer makes the service unready") {
  look();
  answers = false;
  look();
  look_for(Liveness::kLimit - Liveness::kEvery);
  CHECK(liveness->is_alive());
  look();
  CHECK_FALSE(liveness->is_alive());
  CHECK_FALSE(health.is_ready());
  REQUIRE(health.conditions().size() == 1);
  CHECK(health.conditions().front().component == "worker-1");
  CHECK(health.conditions().front().reason.find("2026-11-01T14:03:01") != std::string::npos);
  CHECK(silence() == Liveness::kLimit);
  CHECK(told == std::vector<bool>{true});
  CHECK(asked == 2);  // once more only when it has answered

  has_answered = answers = true;
  look();
  CHECK(liveness->is_alive());
  CHECK(health.conditions().empty());
  CHECK(told == std::vector<bool>{true, false});
}

TEST_CASE_METHOD(LivenessFixture, "a thread that the host holds up is alive") {
  answers = false;
  is_held_up = true;
  look_for(10 * Liveness::kLimit);
  CHECK(liveness->is_alive());
  CHECK(health.is_ready());
  REQUIRE(health.conditions().size() == 1);
  CHECK(health.conditions().front().reason == "the disk is slow");
  is_held_up = false;  // and still it does not answer
  look_for(Liveness::kLimit);
  CHECK_FALSE(liveness->is_alive());
}

TEST_CASE_METHOD(LivenessFixture, "a pause of the whole process is no silence of a thread") {
  answers = false;
  look();
  look(std::chrono::hours(1));
  CHECK(liveness->is_alive());
  CHECK(silence() <= 2 * Liveness::kEvery);
}

TEST_CASE_METHOD(LivenessFixture, "the loop looks by itself") {
  while (asked < 2) loop.run_once(true);
  CHECK(liveness->is_alive());
}

}  // namespace
}  // namespace sc::test
