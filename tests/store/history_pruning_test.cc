#include "store/history_pruning.h"

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "store/database.h"
#include "store/fixture.h"
#include "support/catch.h"

namespace sc::test {
namespace {

using core::EventAction;
using store::HistoryPruning;
using store::PastEvent;
using Ids = std::vector<std::int64_t>;
using Rows = std::vector<std::string>;

struct Opened {
  TempFolder folder;
  std::string file = folder / "s.db";
  std::unique_ptr<store::Database> database = std::move(*store::Database::open(file));

  // Steps until all is done; returns how many there were.
  int prune(int before) {
    std::uint16_t from = 0;
    for (int steps = 1;; ++steps) {
      const auto step = database->prune_history(minute(before), from);
      REQUIRE(step);
      REQUIRE(step->deleted <= HistoryPruning::kMostRows);
      if (!step->next_port) return steps;
      from = *step->next_port;
    }
  }
  Rows ids() const { return query(file, "SELECT id FROM stream_events ORDER BY id"); }
};

// A port's event with the stream that it left.
core::AppendEvent told(int at, EventAction action, std::uint16_t port, const std::string& backend,
                       const std::string& before, const std::string& label = "") {
  core::AppendEvent append = event(at, action, port, before, core::is_end(action) ? "" : backend);
  if (core::is_end(action)) return append;
  append.event.spec = *core::make_spec(std::to_string(port), backend);
  append.event.spec->label = label;
  return append;
}

TEST_CASE("pruning keeps a port's last event, its creation and the begin of its backend") {
  const Ids none;
  const PastEvent created{1, EventAction::created, "a:1"};
  CHECK(store::superseded(std::vector{created}) == none);
  CHECK(store::superseded(std::vector<PastEvent>{
            created, {2, EventAction::changed, "a:1"}, {3, EventAction::failed, "a:1"}}) == Ids{2});
  CHECK(store::superseded(std::vector<PastEvent>{created,
                                                 {2, EventAction::changed, "b:1"},
                                                 {3, EventAction::changed, "c:1"},
                                                 {4, EventAction::changed, "c:1"},
                                                 {5, EventAction::opened, "c:1"}}) == Ids{2, 4});
  CHECK(store::superseded(std::vector<PastEvent>{created, {2, EventAction::removed, ""}}) ==
        Ids{1, 2});
  CHECK(store::superseded(std::vector<PastEvent>{
            created, {2, EventAction::expired, ""}, {3, EventAction::created, "a:1"}}) ==
        Ids{1, 2});
  CHECK(store::superseded(std::vector<PastEvent>{created,
                                                 {2, EventAction::changed, "b:1"},
                                                 {3, EventAction::changed, "c:1"},
                                                 {4, EventAction::changed, "a:1"},
                                                 {5, EventAction::opened, "a:1"}}) == Ids{2});
  // As versions without `created` for rows that were written by hand left it.
  CHECK(store::superseded(std::vector<PastEvent>{{1, EventAction::reopened, "a:1"},
                                                 {2, EventAction::reopened, "a:1"},
                                                 {3, EventAction::reopened, "b:1"}}) == Ids{1, 2});
}

TEST_CASE("pruned history answers for the time where it begins and later as it did before") {
  const unsigned seed = GENERATE(1U, 2U, 3U);
  CAPTURE(seed);
  std::mt19937 chance(seed);
  Opened open;
  std::map<std::uint16_t, std::string> backends;
  std::vector<core::StoreWrite> writes;
  constexpr int kEvents = 3000;
  for (int at = 0; at < kEvents; ++at) {
    const auto port = static_cast<std::uint16_t>(9000 + chance() % 7);
    std::string& backend = backends[port];
    const std::string other = "b" + std::to_string(chance() % 3) + ":1";
    const std::string before = backend;
    if (before.empty()) {
      backend = other;
      writes.push_back(told(at, EventAction::created, port, backend, ""));
    } else if (const auto what = chance() % 20; what == 0) {
      backend.clear();
      writes.push_back(told(at, chance() % 2 == 0 ? EventAction::removed : EventAction::expired,
                            port, "", before));
    } else if (what < 6) {
      backend = other;
      writes.push_back(told(at, EventAction::changed, port, backend, before));
    } else if (what < 10) {
      writes.push_back(told(at, EventAction::changed, port, backend, before, std::to_string(at)));
    } else {
      const EventAction action = what < 15 ? EventAction::failed : EventAction::opened;
      writes.push_back(told(at, action, port, backend, before));
    }
  }
  REQUIRE(commit(*open.database, std::move(writes)));
  const int horizon = 1500 + static_cast<int>(chance() % 1400);
  const auto as_of = [&] {
    std::vector<std::vector<core::Stream>> out;
    for (int at = horizon; at <= kEvents; at += 7) out.push_back(*open.database->as_of(minute(at)));
    return out;
  };
  const std::string at_horizon = base::to_iso8601(minute(horizon));
  const std::string periods =
      "SELECT * FROM mapping_periods WHERE held_until IS NULL OR"
      " held_until > '" +
      at_horizon + "'";
  const auto expected = as_of();
  const Rows expected_periods = query(open.file, periods);
  const Rows expected_rest =
      query(open.file, "SELECT * FROM stream_events WHERE at > '" + at_horizon + "'");
  const auto expected_recorded = open.database->load()->recorded;

  open.prune(horizon);

  CHECK(as_of() == expected);
  CHECK(query(open.file, periods) == expected_periods);
  CHECK(query(open.file, "SELECT * FROM mapping_periods") == expected_periods);
  CHECK(query(open.file, "SELECT * FROM stream_events WHERE at > '" + at_horizon + "'") ==
        expected_rest);
  CHECK(open.database->load()->recorded == expected_recorded);
  CHECK(query(open.file,
              "SELECT max(n) <= 4 FROM (SELECT count(*) AS n FROM stream_events"
              " WHERE at <= '" +
                  at_horizon + "' GROUP BY port)") == Rows{"1"});
  // Later, from what is left.
  const int later = (horizon + kEvents) / 2;
  const auto then = *open.database->as_of(minute(later));
  open.prune(later);
  CHECK(*open.database->as_of(minute(later)) == then);
}

TEST_CASE("mappings says since when a stream has its backend, also when older events are deleted") {
  Opened open;
  core::Stream held = stream(9000, "b");
  REQUIRE(
      commit(*open.database, {core::AddStream{held}, told(0, EventAction::created, 9000, "a:1", ""),
                              told(1, EventAction::changed, 9000, "b:1", "a:1"),
                              told(2, EventAction::changed, 9000, "b:1", "b:1", "x"),
                              told(3, EventAction::changed, 9000, "b:1", "b:1", "y")}));
  open.prune(10);
  CHECK(open.ids() == Rows{"1", "2", "4"});
  CHECK(query(open.file, "SELECT since FROM mappings") == Rows{"2026-11-01T14:01:00.000Z"});
  CHECK(query(open.file, "SELECT backend, held_from FROM mapping_periods") ==
        Rows{"b:1|2026-11-01T14:01:00.000Z"});  // a:1 ended before the history begins
}

TEST_CASE("what was mapped before the history begins is not known any more") {
  Opened open;
  REQUIRE(commit(*open.database, {told(0, EventAction::created, 9000, "a:1", ""),
                                  told(1, EventAction::changed, 9000, "a:1", "a:1", "x"),
                                  told(2, EventAction::changed, 9000, "a:1", "a:1", "y"),
                                  told(9, EventAction::changed, 9000, "a:1", "a:1", "z")}));
  CHECK_FALSE(open.database->history({})->start.at);
  CHECK(open.database->as_of(minute(-1))->empty());
  open.prune(5);
  CHECK(open.ids() == Rows{"1", "3", "4"});
  CHECK(open.database->history({})->start == core::HistoryStart{minute(5), 2});
  CHECK(open.database->as_of(minute(5))->size() == 1);
  const auto before = open.database->as_of(minute(5) - std::chrono::milliseconds(1));
  REQUIRE_FALSE(before);
  CHECK(before.error().code == base::Errc::not_found);
  CHECK_THAT(before.error().message, Catch::Contains("begins at 2026-11-01T14:05:00.000Z"));
  // HISTORY_KEEP became longer: what is gone stays gone.
  REQUIRE(open.database->prune_history(minute(1), 0));
  CHECK(open.database->history({})->start.at == minute(5));
}

TEST_CASE("a pass that deletes nothing writes nothing") {
  Opened open;
  REQUIRE(commit(*open.database, {told(0, EventAction::created, 9000, "a:1", ""),
                                  told(1, EventAction::created, 9001, "a:1", ""),
                                  told(2, EventAction::removed, 9001, "a:1", "")}));
  open.prune(-5);
  CHECK(query(open.file, "SELECT * FROM history_start").empty());
  open.prune(10);
  CHECK(open.ids() == Rows{"1", "3"});
  const std::string changes = "SELECT at, deleted_id FROM history_start";
  const Rows once = query(open.file, changes);
  open.prune(20);
  CHECK(query(open.file, changes) == once);
}

TEST_CASE("the newest event stays although its stream is gone, so that no id comes twice") {
  Opened open;
  REQUIRE(commit(*open.database, {told(0, EventAction::created, 9000, "a:1", ""),
                                  told(1, EventAction::removed, 9000, "a:1", "")}));
  open.prune(10);
  CHECK(open.ids() == Rows{"2"});
  REQUIRE(commit(*open.database, {told(11, EventAction::created, 9001, "a:1", "")}));
  CHECK(open.ids() == Rows{"2", "3"});
  open.prune(11);
  CHECK(open.ids() == Rows{"3"});
}

TEST_CASE("many old events are deleted in short steps, over one port and over many") {
  Opened open;
  std::vector<core::StoreWrite> writes;
  constexpr std::size_t kOfOne = 2 * HistoryPruning::kMostRows + 100;
  for (std::size_t i = 0; i < kOfOne; ++i)
    writes.push_back(told(0, EventAction::failed, 9000, "a:1", "a:1"));
  constexpr auto kPorts = static_cast<std::uint16_t>(2 * HistoryPruning::kMostPorts);
  for (std::uint16_t port = 10000; port < 10000 + kPorts; ++port) {
    writes.push_back(told(0, EventAction::created, port, "a:1", ""));
    writes.push_back(told(0, EventAction::changed, port, "a:1", "a:1", "x"));
    writes.push_back(told(0, EventAction::changed, port, "a:1", "a:1", "y"));
  }
  REQUIRE(commit(*open.database, std::move(writes)));
  CHECK(open.prune(1) >= 5);  // prune() checks how much each step deletes
  CHECK(query(open.file, "SELECT count(*) FROM stream_events WHERE port = 9000") == Rows{"2"});
  CHECK(query(open.file,
              "SELECT count(*), min(label), max(label) FROM stream_events"
              " WHERE port > 9000 AND action = 'changed'") ==
        Rows{std::to_string(kPorts) + "|y|y"});
}

TEST_CASE("events are deleted by hand only where the history begins later") {
  Opened open;
  REQUIRE(commit(*open.database, {told(0, EventAction::created, 9000, "a:1", ""),
                                  told(1, EventAction::changed, 9000, "b:1", "a:1")}));
  CHECK_THROWS(execute(open.file, "DELETE FROM stream_events"));
  CHECK_THROWS(execute(open.file, "INSERT INTO history_start VALUES (1, 'yesterday', 1)"));
  execute(open.file, "INSERT INTO history_start VALUES (1, '2026-11-01T14:00:00.000Z', 1)");
  CHECK_THROWS(execute(open.file, "DELETE FROM stream_events WHERE id = 2"));
  execute(open.file, "DELETE FROM stream_events WHERE id = 1");
  CHECK(open.ids() == Rows{"2"});
}

TEST_CASE("a database of before the history could begin later loses nothing") {
  const TempFolder folder;
  const std::string file = folder / "s.db";
  REQUIRE(store::Database::open(file, store::embedded_migrations().first(6)));
  execute(file,
          "INSERT INTO streams (port, backend) VALUES (9000, 'a:1');"
          "INSERT INTO stream_events (at, action, port, backend_before, backend_after) VALUES"
          " ('2026-11-01T14:00:00.000Z', 'created', 9000, NULL, 'a:1'),"
          " ('2026-11-01T14:01:00.000Z', 'reopened', 9000, 'a:1', 'a:1')");
  const std::string all = "SELECT * FROM stream_events";
  const Rows before = query(file, all);
  const auto opened = store::Database::open(file);
  REQUIRE(opened);
  CHECK(query(file, all) == before);
  const auto page = (*opened)->history({});
  REQUIRE(page->events.size() == 2);
  CHECK(page->events.front().event.action == EventAction::reopened);
  CHECK_FALSE(page->start.at);
  CHECK((*opened)->as_of(minute(1))->at(0).state == core::StreamState::listening);
  CHECK_THROWS(execute(file, "DELETE FROM stream_events"));
}

}  // namespace
}  // namespace sc::test
