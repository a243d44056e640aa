#include "store/database.h"
#include "store/fixture.h"
#include "support/catch.h"

namespace sc::test {
namespace {

using core::EventAction;
using Rows = std::vector<std::string>;

// 14:00 to 14:20 on two ports, as the conductor tells it.
struct Story {
  Story() {
    core::Stream held = stream(9007, "c");
    held.created_at = minute(11);
    core::Stream failed = stream(9000, "y", 22);
    failed.state = core::StreamState::failed;
    failed.reason = "port 9000 is taken";
    REQUIRE(commit(*database, {event(0, EventAction::created, 9007, "", "a:1"),
                               event(1, EventAction::created, 9000, "", "y:22", "10.0.0.2"),
                               event(2, EventAction::changed, 9007, "a:1", "b:1", "uid 1000")}));
    REQUIRE(commit(
        *database,
        {event(5, EventAction::reopened, 9007, "b:1", "b:1", "service"),
         event(5, EventAction::failed, 9000, "y:22", "y:22", "service", "port 9000 is taken"),
         event(6, EventAction::opened, 9000, "y:22", "y:22", "service"),
         event(10, EventAction::removed, 9007, "b:1", "", "10.0.0.3"),
         event(11, EventAction::created, 9007, "", "c:1", "10.0.0.4"),
         event(20, EventAction::failed, 9000, "y:22", "y:22", "service", "port 9000 is taken"),
         core::AddStream{held}, core::AddStream{failed}}));
  }
  std::string who_held(const std::string& port, const std::string& at) const {
    const Rows rows = query(file, "SELECT backend FROM mapping_periods WHERE port = " + port +
                                      " AND held_from <= '" + at +
                                      "' AND (held_until IS NULL OR held_until > '" + at + "')");
    return rows.empty() ? "nobody" : rows.size() == 1 ? rows.front() : "several";
  }

  TempFolder folder;
  std::string file = folder / "s.db";
  std::unique_ptr<store::Database> database = std::move(*store::Database::open(file));
};

TEST_CASE("mappings shows what is mapped now and since when") {
  const Story story;
  execute(story.file,
          "INSERT INTO streams(port, backend, created_at)"
          " VALUES (9009, 'hand:1', '2026-11-01T15:00:00.000Z')");
  CHECK(
      query(story.file, "SELECT * FROM mappings") ==
      Rows{"9000|y:22|failed|port 9000 is taken|2026-11-01T14:01:00.000Z|10.0.0.1||||established|",
           "9007|c:1|listening||2026-11-01T14:11:00.000Z|10.0.0.1||||established|",
           "9009|hand:1|listening||2026-11-01T15:00:00.000Z|sqlite3||||established|"});
}

TEST_CASE("mapping_history reads like a story") {
  const Story story;
  CHECK(
      query(story.file, "SELECT * FROM mapping_history") ==
      Rows{
          "2026-11-01T14:00:00.000Z|9007|created: leads to a:1|10.0.0.1||",
          "2026-11-01T14:01:00.000Z|9000|created: leads to y:22|10.0.0.2||",
          "2026-11-01T14:02:00.000Z|9007|changed: a:1 -> b:1|uid 1000||",
          "2026-11-01T14:05:00.000Z|9007|reopened: leads to b:1 after a start|service||",
          "2026-11-01T14:05:00.000Z|9000|failed: could not be opened|service|port 9000 is taken|",
          "2026-11-01T14:06:00.000Z|9000|opened: leads to y:22 again|service||",
          "2026-11-01T14:10:00.000Z|9007|removed: led to b:1|10.0.0.3||",
          "2026-11-01T14:11:00.000Z|9007|created: leads to c:1|10.0.0.4||",
          "2026-11-01T14:20:00.000Z|9000|failed: could not be opened|service|port 9000 is taken|"});
}

TEST_CASE("mapping_periods says who held a port from when until when") {
  const Story story;
  CHECK(query(story.file, "SELECT * FROM mapping_periods") ==
        Rows{"9000|y:22|2026-11-01T14:01:00.000Z||10.0.0.2",
             "9007|a:1|2026-11-01T14:00:00.000Z|2026-11-01T14:02:00.000Z|10.0.0.1",
             "9007|b:1|2026-11-01T14:02:00.000Z|2026-11-01T14:10:00.000Z|uid 1000",
             "9007|c:1|2026-11-01T14:11:00.000Z||10.0.0.4"});
}

TEST_CASE("who held 9007 at 14:03 is one query") {
  const Story story;
  CHECK(story.who_held("9007", "2026-11-01T14:03:00") == "b:1");
  CHECK(story.who_held("9007", "2026-11-01T14:01:59.999Z") == "a:1");
  CHECK(story.who_held("9007", "2026-11-01T14:02:00.000Z") == "b:1");
  CHECK(story.who_held("9007", "2026-11-01T14:10:30") == "nobody");
  CHECK(story.who_held("9007", "2026-11-01T13:59") == "nobody");
  CHECK(story.who_held("9007", "2027-01-01") == "c:1");
  CHECK(story.who_held("9001", "2026-11-01T14:03:00") == "nobody");
}

TEST_CASE("a stream written by hand counts from when the service took it up") {
  const TempFolder folder;
  const std::string file = folder / "s.db";
  auto database = store::Database::open(file);
  REQUIRE(database);
  REQUIRE(commit(**database, {event(3, EventAction::removed, 9005, "old:1", ""),
                              event(4, EventAction::reopened, 9005, "x:1", "x:1", "service"),
                              event(5, EventAction::reopened, 9005, "x:1", "x:1", "service"),
                              event(6, EventAction::reopened, 9005, "z:1", "z:1", "service")}));
  CHECK(query(file, "SELECT * FROM mapping_periods") ==
        Rows{"9005|x:1|2026-11-01T14:04:00.000Z|2026-11-01T14:06:00.000Z|service",
             "9005|z:1|2026-11-01T14:06:00.000Z||service"});
}

TEST_CASE("the story keeps its order when the host's clock is set back") {
  const TempFolder folder;
  const std::string file = folder / "s.db";
  auto database = store::Database::open(file);
  REQUIRE(database);
  REQUIRE(commit(**database, {event(9, EventAction::created, 9000, "", "a:1"),
                              event(3, EventAction::changed, 9000, "a:1", "b:1")}));
  CHECK(query(file, "SELECT what FROM mapping_history") ==
        Rows{"created: leads to a:1", "changed: a:1 -> b:1"});
  CHECK(query(file, "SELECT backend FROM mapping_periods WHERE held_until IS NULL") == Rows{"b:1"});
}

TEST_CASE("the history of one port is found by the index") {
  const Story story;
  const Rows plan =
      query(story.file, "EXPLAIN QUERY PLAN SELECT * FROM mapping_history WHERE port = 9007");
  REQUIRE(plan.size() == 1);
  CHECK_THAT(plan.front(), Catch::Contains("USING INDEX stream_events_by_port (port=?)"));
}

}  // namespace
}  // namespace sc::test
