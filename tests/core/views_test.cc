// What operators see of all streams together.

#include <set>
#include <string>

#include "conductor_fixture.h"
#include "support/catch.h"

namespace sc::test {
namespace {

using core::StreamState;

struct ViewsFixture : ConductorFixture {
  void put(const core::StreamSpec& wanted) {
    conductor.put(wanted, {"tester", {}}, {}, [](const auto& done) { REQUIRE(done); });
    store.answer_all();
    plane.finish_closing();
    store.answer_all();
  }
  core::StreamSpec disabled(std::uint16_t port) {
    core::StreamSpec wanted = spec(port);
    wanted.enabled = false;
    return wanted;
  }
};

TEST_CASE_METHOD(ViewsFixture,
                 "the version of all streams changes with each change, and only then") {
  std::set<std::string> seen;
  const auto is_new = [&] { return seen.insert(conductor.version()).second; };
  CHECK(is_new());
  put(spec(9000));
  CHECK(is_new());
  put(spec(9000));  // the same again
  CHECK_FALSE(is_new());
  plane.carried[9000] = {
      .sessions_active = 1, .sessions_total = 1, .bytes_in = 9, .bytes_out = 9, .ended = {}};
  CHECK_FALSE(is_new());
  core::StreamSpec labelled = spec(9000);
  labelled.label = "x";
  put(labelled);
  CHECK(is_new());
  remove(9000);
  store.answer_all();
  plane.finish_closing();
  CHECK(is_new());
  plane.carried.clear();
  CHECK(is_new());  // the removed stream's last session has ended
  CHECK_FALSE(is_new());
  conductor.drain();
  CHECK(is_new());
  CHECK(ConductorFixture().conductor.version() != ConductorFixture().conductor.version());
}

TEST_CASE_METHOD(ViewsFixture, "a summary counts the streams as operators see them") {
  put(disabled(9000));
  put(spec(9002));
  core::Stream failing;
  failing.spec = spec(9001);
  plane.taken.insert(9001);
  boot({failing});
  core::StreamSummary summary = conductor.summary();
  CHECK(summary.counts[StreamState::disabled] == 1);
  CHECK(summary.counts[StreamState::failed] == 1);
  CHECK(summary.counts[StreamState::listening] == 1);
  CHECK(summary.counts[StreamState::draining] == 0);
  REQUIRE(summary.degraded.size() == 1);
  CHECK(summary.degraded[0].spec.port == 9001);
  CHECK(summary.degraded[0].state == StreamState::failed);
  plane.carried[9000].sessions_active = 1;
  summary = conductor.summary();
  CHECK(summary.counts[StreamState::disabled] == 0);
  CHECK(summary.counts[StreamState::draining] == 1);
}

TEST_CASE_METHOD(ViewsFixture, "a summary has removed streams whose sessions run") {
  put(spec(9000));
  plane.carried[9000].sessions_active = 1;
  remove(9000);
  store.answer_all();
  plane.finish_closing();
  CHECK(conductor.summary().counts[StreamState::draining] == 1);
  plane.carried.clear();
  CHECK(conductor.summary().counts[StreamState::draining] == 0);
}

}  // namespace
}  // namespace sc::test
