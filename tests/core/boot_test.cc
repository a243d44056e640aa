#include "conductor_fixture.h"
#include "support/catch.h"

namespace sc::test {
namespace {

using core::StreamState;
using std::chrono::seconds;

core::Stream stored(std::uint16_t port) {
  core::Stream stream;
  stream.spec = spec(port);
  return stream;
}

TEST_CASE_METHOD(ConductorFixture, "a start with unchanged streams opens them and writes nothing") {
  core::StoredStreams held;
  held.streams = {stored(9000), stored(9001), stored(9002)};
  held.streams[1].spec.enabled = false;
  held.streams[1].state = StreamState::disabled;
  for (const core::Stream& each : held.streams) held.recorded[each.spec.port] = {each.spec};
  std::optional<core::BootReport> report;
  conductor.boot(held, [&](core::BootReport done) { report = done; });
  CHECK(store.waiting() == 0);  // the store was not asked for anything
  REQUIRE(report);
  CHECK(report->opened == 2);
  CHECK(report->failed == 0);
  CHECK(report->disabled == 1);
  CHECK(plane.open.size() == 2);
  CHECK(store.events.empty());
  create_now(spec(9000));  // no port is held
  CHECK(*created);
}

TEST_CASE_METHOD(ConductorFixture, "a start clears the reason that a backend left in the row") {
  core::Stream troubled = stored(9000);
  troubled.reason = "connection refused";
  boot({troubled, stored(9001)});
  CHECK(store.events.empty());
  CHECK(store.rows.at(9000).reason.empty());
  CHECK(conductor.find(9000)->reason.empty());
}

TEST_CASE_METHOD(ConductorFixture, "a start records that a stream failed, once") {
  plane.taken.insert(9000);
  boot({stored(9000)});
  CHECK(store.story() == std::vector<std::string>{"failed 9000 by service"});
  const core::Stream failed = store.rows.at(9000);
  REQUIRE(failed.state == StreamState::failed);
  ConductorFixture next;
  next.plane.taken.insert(9000);
  next.boot({failed});
  CHECK(next.conductor.find(9000)->state == StreamState::failed);
  CHECK(next.store.events.empty());
}

TEST_CASE_METHOD(ConductorFixture, "a start records that a failed stream opened") {
  core::Stream failed = stored(9000);
  failed.state = StreamState::failed;
  failed.reason = "port 9000 is in use by somebody else";
  core::StoredStreams held;
  held.streams = {failed};
  SECTION("failed in its row and in history") { held.recorded[9000] = {failed.spec, true}; }
  SECTION("failed in its row, changed since in history") { held.recorded[9000] = {failed.spec}; }
  SECTION("failed in history, its row deleted and written again by hand") {
    held.streams = {stored(9000)};
    held.recorded[9000] = {failed.spec, true};
  }
  boot(held);
  CHECK(store.story() == std::vector<std::string>{"opened 9000 by service"});
  CHECK(store.rows.at(9000).state == StreamState::listening);
  CHECK(store.rows.at(9000).reason.empty());
}

TEST_CASE_METHOD(ConductorFixture,
                 "a stream that failed, was changed by hand and fails again is failed in history") {
  core::Stream failed = stored(9000);
  failed.state = StreamState::failed;
  core::StoredStreams held;
  held.streams = {failed};
  held.recorded[9000] = {spec(9000, "other:2"), true};
  plane.taken.insert(9000);
  boot(held);
  CHECK(store.story() ==
        std::vector<std::string>{"changed 9000 by sqlite3", "failed 9000 by service"});
}

TEST_CASE_METHOD(ConductorFixture, "what was changed by hand before the start becomes history") {
  core::StoredStreams held;
  held.streams = {stored(9000), stored(9001), stored(9002)};
  held.unreadable = {{"9005 -> x", "no port", 9005}};
  held.recorded = {{9000, {spec(9000)}},
                   {9002, {spec(9002, "other:2")}},
                   {9003, {spec(9003, "gone:3")}},
                   {9005, {spec(9005, "spoilt:5")}}};
  boot(held);
  CHECK(store.story() == std::vector<std::string>{"created 9001 by sqlite3",
                                                  "changed 9002 by sqlite3",
                                                  "removed 9003 by sqlite3"});
  CHECK(store.events[1].backend_before == "other:2");
  CHECK(store.events[1].backend_after == "backend:1");
  CHECK(store.events[2].backend_before == "gone:3");
  CHECK(store.events[2].backend_after.empty());
}

TEST_CASE_METHOD(ConductorFixture, "one stream that cannot open keeps no other from opening") {
  plane.taken.insert(9000);
  const core::BootReport report = boot({stored(9000), stored(9001)});
  CHECK(report.opened == 1);
  CHECK(report.failed == 1);
  CHECK(conductor.find(9000)->state == StreamState::failed);
  CHECK(conductor.find(9000)->reason == "port 9000 is in use by somebody else");
  CHECK(conductor.find(9001)->state == StreamState::listening);
  CHECK(conductor.list().size() == 2);
  CHECK(store.events.front().detail == "port 9000 is in use by somebody else");
}

TEST_CASE_METHOD(ConductorFixture, "boot is over also when its history cannot be written") {
  store.failure = base::Error{base::Errc::unavailable, "the disk is full"};
  CHECK(boot({stored(9000)}).opened == 1);
  CHECK(plane.open.contains(9000));
}

TEST_CASE_METHOD(ConductorFixture, "a stored stream outside of the range is opened all the same") {
  CHECK(boot({stored(8000)}).opened == 1);
  CHECK(plane.open.contains(8000));
}

TEST_CASE_METHOD(ConductorFixture,
                 "a failed stream is tried after 1, 2, 4 ... 60 seconds and opens by itself") {
  plane.taken.insert(9000);
  std::optional<base::Instant> at;
  conductor.set_on_retry_at([&](std::optional<base::Instant> next) { at = next; });
  boot({stored(9000)});
  for (const int wait : {1, 2, 4, 8, 16, 32, 60, 60}) {
    REQUIRE(at);
    CHECK(*at - clock.steady() == seconds(wait));
    clock.advance(seconds(wait) - std::chrono::milliseconds(1));
    conductor.retry_due();
    CHECK(*at - clock.steady() == std::chrono::milliseconds(1));
    clock.advance(std::chrono::milliseconds(1));
    conductor.retry_due();
    store.answer_all();
  }
  const std::size_t events_before = store.events.size();
  plane.taken.clear();
  clock.advance(seconds(60));
  conductor.retry_due();
  store.answer_all();
  CHECK_FALSE(at);
  CHECK(conductor.find(9000)->state == StreamState::listening);
  CHECK(conductor.find(9000)->reason.empty());
  CHECK(store.rows.at(9000).state == StreamState::listening);
  REQUIRE(store.events.size() == events_before + 1);
  CHECK(store.story().back() == "opened 9000 by service");
}

TEST_CASE_METHOD(ConductorFixture,
                 "creating a failed stream again tries its port at once and tells the truth") {
  plane.taken.insert(9000);
  boot({stored(9000)});
  create(spec(9000));
  REQUIRE(created);
  REQUIRE_FALSE(*created);
  CHECK(created->error().message.find("in use by somebody else") != std::string::npos);
  plane.taken.clear();
  create_now(spec(9000));
  REQUIRE(created);
  CHECK(*created);
  CHECK(plane.open.contains(9000));
}

TEST_CASE_METHOD(ConductorFixture, "a failed stream can be removed and is not tried again") {
  plane.taken.insert(9000);
  boot({stored(9000)});
  remove(9000);
  store.answer_all();
  REQUIRE(removed);
  CHECK(*removed);
  CHECK(plane.closing.empty());
  clock.advance(seconds(100));
  plane.taken.clear();
  conductor.retry_due();
  CHECK(plane.open.empty());
}

}  // namespace
}  // namespace sc::test
