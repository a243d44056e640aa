#include "core/health.h"

#include <chrono>

#include "support/catch.h"
#include "support/manual_clock.h"

namespace sc::test {
namespace {

using core::Readiness;

TEST_CASE("a condition keeps the time at which it began while its reason changes") {
  ManualClock clock;
  core::Health health(clock);
  const base::WallTime began = clock.wall();
  health.report("database", "the disk is full", Readiness::unready);
  clock.advance(std::chrono::seconds(5));
  health.report("database", "the disk is read-only", Readiness::unready);
  REQUIRE(health.conditions().size() == 1);
  CHECK(health.conditions().front() ==
        core::Condition{"database", "the disk is read-only", Readiness::unready, began});
}

TEST_CASE("a condition that ended and comes again has a new beginning") {
  ManualClock clock;
  core::Health health(clock);
  health.report("log", "its reader is slow", Readiness::ready);
  health.clear("log");
  CHECK(health.conditions().empty());
  clock.advance(std::chrono::seconds(5));
  health.report("log", "its reader is slow", Readiness::ready);
  CHECK(health.conditions().front().since == clock.wall());
}

TEST_CASE("the service is ready until an unready condition is reported") {
  const ManualClock clock;
  core::Health health(clock);
  CHECK(health.worst() == nullptr);
  health.report("log", "its reader is slow", Readiness::ready);
  CHECK(health.is_ready());
  CHECK(health.worst()->component == "log");
  health.report("worker-1", "it does not answer", Readiness::unready);
  CHECK_FALSE(health.is_ready());
  CHECK(health.worst()->component == "worker-1");
  health.clear("worker-1");
  CHECK(health.is_ready());
}

TEST_CASE("a change is announced once, a repeated report is not") {
  const ManualClock clock;
  core::Health health(clock);
  int changes = 0;
  health.set_on_change([&] { ++changes; });
  health.report("log", "its reader is slow", Readiness::ready);
  health.report("log", "its reader is slow", Readiness::ready);
  CHECK(changes == 1);
  health.clear("log");
  health.clear("log");
  CHECK(changes == 2);
}

}  // namespace
}  // namespace sc::test
