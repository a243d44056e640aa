#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "store/database.h"
#include "store/event_table.h"
#include "store/fixture.h"
#include "store/migrations.h"
#include "support/catch.h"

namespace sc::test {
namespace {

using core::EventAction;

struct Opened {
  TempFolder folder;
  std::string file = folder / "s.db";
  std::unique_ptr<store::Database> database = std::move(*store::Database::open(file));
};

core::StreamSpec full_spec() {
  core::StreamSpec spec = *core::make_spec("9000", "a:1");
  spec.listen_address = "127.0.0.1";
  spec.label = "web";
  spec.note = "two\nlines";
  spec.owner = "ops";
  spec.enabled = false;
  spec.expires_at = minute(90);
  spec.max_sessions = 7;
  spec.connect_timeout = std::chrono::milliseconds{250};
  spec.idle_timeout = std::chrono::milliseconds{0};
  spec.lifetime = std::chrono::hours{12};
  spec.durable = core::Durability::early;
  return spec;
}

core::AppendEvent event_of(int at, EventAction action, const core::StreamSpec& spec,
                           std::int64_t revision = 1) {
  core::AppendEvent append = event(at, action, spec.port, "", base::to_string(spec.backend));
  append.event.spec = spec;
  append.event.revision = revision;
  append.event.actor.request_id = "req-1";
  return append;
}

std::vector<std::int64_t> ids(const core::HistoryPage& page) {
  std::vector<std::int64_t> out;
  for (const core::RecordedEvent& each : page.events) out.push_back(each.id);
  return out;
}

TEST_CASE("a row keeps every field of its stream, and is replaced whole") {
  Opened open;
  core::Stream one;
  one.spec = full_spec();
  one.state = core::StreamState::disabled;
  one.created_at = one.updated_at = minute(0);
  one.created_by = "x";
  REQUIRE(commit(*open.database, {core::AddStream{one}}));
  CHECK(open.database->load()->streams == std::vector<core::Stream>{one});
  core::Stream other = one;
  other.spec = *core::make_spec("9000", "b:2");
  other.state = core::StreamState::listening;
  other.revision = 2;
  REQUIRE(commit(*open.database, {core::ReplaceStream{other, one.spec}}));
  CHECK(open.database->load()->streams == std::vector<core::Stream>{other});
  CHECK(query(open.file, "SELECT label IS NULL, connect_timeout IS NULL FROM streams") ==
        std::vector<std::string>{"1|1"});
}

TEST_CASE("a row that somebody changed or deleted is not replaced") {
  Opened open;
  core::Stream one;
  one.spec = *core::make_spec("9000", "a:1");
  REQUIRE(commit(*open.database, {core::AddStream{one}}));
  execute(open.file, "UPDATE streams SET label = 'by hand'");
  core::Stream other = one;
  other.spec.note = "mine";
  const auto changed = commit(*open.database, {core::ReplaceStream{other, one.spec}});
  REQUIRE_FALSE(changed);
  CHECK(changed.error().code == base::Errc::conflict);
  CHECK_THAT(changed.error().message, Catch::Contains("changed by hand"));
  execute(open.file, "DELETE FROM streams");
  const auto gone = commit(*open.database, {core::ReplaceStream{other, one.spec}});
  REQUIRE_FALSE(gone);
  CHECK_THAT(gone.error().message, Catch::Contains("deleted by hand"));
}

TEST_CASE("a row whose fields no stream may have is unreadable") {
  Opened open;
  execute(open.file,
          "INSERT INTO streams (port, backend, connect_timeout) VALUES (9000, 'a:1', 'soon'),"
          " (9001, 'a:1', '1ms'), (9002, 'a:1', '5s')");
  const auto stored = open.database->load();
  CHECK(stored->streams.size() == 1);
  REQUIRE(stored->unreadable.size() == 2);
  CHECK_THAT(stored->unreadable.front().why, Catch::Contains("connect_timeout"));
}

TEST_CASE("an event comes back as it was written") {
  Opened open;
  const core::AppendEvent written = event_of(3, EventAction::created, full_spec(), 4);
  REQUIRE(commit(*open.database, {written}));
  const auto page = open.database->history({});
  REQUIRE(page);
  REQUIRE(page->events.size() == 1);
  CHECK(page->events.front().event == written.event);
}

TEST_CASE("history is filtered, the latest first, page by page") {
  Opened open;
  const core::StreamSpec one = *core::make_spec("9000", "a:1");
  const core::StreamSpec two = *core::make_spec("9001", "b:1");
  REQUIRE(commit(*open.database,
                 {event_of(0, EventAction::created, one), event_of(1, EventAction::created, two),
                  event_of(2, EventAction::changed, one), event_of(3, EventAction::failed, two),
                  event_of(3, EventAction::opened, two)}));
  const auto ask = [&](core::HistoryQuery query) {
    const auto page = open.database->history(query);
    REQUIRE(page);
    return ids(*page);
  };
  core::HistoryQuery query;
  CHECK(ask(query) == std::vector<std::int64_t>{5, 4, 3, 2, 1});
  query.port = 9000;
  CHECK(ask(query) == std::vector<std::int64_t>{3, 1});
  query = {};
  query.since = minute(1);
  query.until = minute(3);
  CHECK(ask(query) == std::vector<std::int64_t>{3, 2});
  query = {};
  query.action = EventAction::created;
  CHECK(ask(query) == std::vector<std::int64_t>{2, 1});
  query = {};
  query.actor = "10.0.0.1";
  CHECK(ask(query).size() == 5);
  query.actor = "10.0.0.2";
  CHECK(ask(query).empty());

  query = {};
  query.limit = 2;
  std::vector<std::vector<std::int64_t>> pages;
  do {
    const auto page = open.database->history(query);
    REQUIRE(page);
    pages.push_back(ids(*page));
    query.before_id = page->before_id;
  } while (query.before_id);
  CHECK(pages == std::vector<std::vector<std::int64_t>>{{5, 4}, {3, 2}, {1}});
}

TEST_CASE("history after an event comes in the order of writing, whatever the clock did") {
  Opened open;
  const core::StreamSpec one = *core::make_spec("9000", "a:1");
  const core::StreamSpec two = *core::make_spec("9001", "b:1");
  core::HistoryQuery query;
  query.after_id = 0;
  CHECK(open.database->history(query)->newest_id == 0);
  REQUIRE(commit(*open.database,
                 {event_of(5, EventAction::created, one), event_of(1, EventAction::created, two),
                  event_of(6, EventAction::changed, one), event_of(0, EventAction::failed, two)}));
  const auto ask = [&](std::int64_t after, std::optional<std::uint16_t> port, std::size_t limit) {
    query.after_id = after;
    query.port = port;
    query.limit = limit;
    const auto page = open.database->history(query);
    REQUIRE(page);
    CHECK(page->newest_id == 4);
    CHECK_FALSE(page->before_id);
    return ids(*page);
  };
  CHECK(ask(0, std::nullopt, 100) == std::vector<std::int64_t>{1, 2, 3, 4});
  CHECK(ask(1, std::nullopt, 2) == std::vector<std::int64_t>{2, 3});
  CHECK(ask(0, 9001, 1) == std::vector<std::int64_t>{2});
  CHECK(ask(2, 9001, 100) == std::vector<std::int64_t>{4});
  CHECK(ask(4, std::nullopt, 100).empty());
  CHECK(ask(std::numeric_limits<std::int64_t>::max(), std::nullopt, 100).empty());
  CHECK(open.database->history({})->newest_id == 0);
}

TEST_CASE("what was mapped at a time is each port's last event until then") {
  Opened open;
  core::StreamSpec one = *core::make_spec("9000", "a:1");
  core::StreamSpec changed = one;
  changed.label = "later";
  changed.durable = core::Durability::off;
  const core::StreamSpec two = *core::make_spec("9001", "b:1");
  REQUIRE(
      commit(*open.database,
             {event_of(0, EventAction::created, one), event_of(1, EventAction::created, two),
              event_of(2, EventAction::failed, two), event_of(5, EventAction::changed, changed, 2),
              event(6, EventAction::removed, 9001, "b:1", ""),
              event(8, EventAction::expired, 9000, "a:1", "")}));
  const auto at = [&](int time) { return *open.database->as_of(minute(time)); };
  CHECK(at(-1).empty());
  CHECK(at(0).size() == 1);
  REQUIRE(at(3).size() == 2);
  CHECK(at(3).front().spec == one);
  CHECK(at(3).back().state == core::StreamState::failed);
  CHECK(at(3).back().created_at == minute(1));
  CHECK(at(3).back().created_by == "10.0.0.1");
  REQUIRE(at(6).size() == 1);
  CHECK(at(6).front().spec == changed);
  CHECK(at(6).front().revision == 2);
  CHECK(at(9).empty());
}

// Whatever the number of rows. What may be gone through whole is a list that the query makes
// itself.
void check_goes_by_indexes(const std::string& file, const std::string& sql) {
  CAPTURE(sql);
  const auto plan = query(file, "EXPLAIN QUERY PLAN " + sql);
  REQUIRE(!plan.empty());
  for (const std::string& step : plan) {
    CAPTURE(step);
    const bool scans_rows = step.find("SCAN") != std::string::npos &&
                            step.find("SCAN ports") == std::string::npos &&
                            step.find("SCAN CONSTANT") == std::string::npos;
    CHECK_FALSE(scans_rows);
    CHECK(step.find("TEMP B-TREE") == std::string::npos);
  }
}

TEST_CASE("what was mapped at a time is found by indexes alone") {
  const Opened open;
  check_goes_by_indexes(open.file, store::EventTable::as_of_sql());
}

TEST_CASE("history by port, time, actor or action, and its next page, is found by indexes alone") {
  const Opened open;
  std::vector<core::HistoryQuery> queries(5);
  queries[0].port = 9000;
  queries[1].since = minute(0);
  queries[2].actor = "x";
  queries[3].action = EventAction::created;
  queries[4].before_id = 7;
  for (core::HistoryQuery& asked : queries) {
    check_goes_by_indexes(open.file, store::EventTable::page_sql(asked));
    asked.before_id = 7;
    asked.until = minute(9);
    check_goes_by_indexes(open.file, store::EventTable::page_sql(asked));
  }
  core::HistoryQuery after;
  after.after_id = 7;
  check_goes_by_indexes(open.file, store::EventTable::page_sql(after));
  after.port = 9000;
  check_goes_by_indexes(open.file, store::EventTable::page_sql(after));
}

TEST_CASE("a database of the first version keeps its streams and its history") {
  const TempFolder folder;
  const std::string file = folder / "s.db";
  {
    const auto all = store::embedded_migrations();
    REQUIRE(store::Database::open(file, all.first(1)));
  }
  execute(file,
          "INSERT INTO streams (port, backend, created_by) VALUES (9000, 'a:1', 'x');"
          "INSERT INTO stream_events (at, action, port, actor, backend_after) VALUES"
          " ('2026-11-01T14:00:00.000Z', 'created', 9000, 'x', 'a:1')");
  const auto opened = store::Database::open(file);
  REQUIRE(opened);
  const auto stored = (*opened)->load();
  REQUIRE(stored->streams.size() == 1);
  CHECK(stored->streams.front().spec == *core::make_spec("9000", "a:1"));
  CHECK(stored->recorded.at(9000).spec == stored->streams.front().spec);
  CHECK((*opened)->as_of(minute(600))->size() == 1);
  CHECK_THROWS(execute(file, "DELETE FROM stream_events"));
}

TEST_CASE("streams from before they were durable are so once established, then and now") {
  const TempFolder folder;
  const std::string file = folder / "s.db";
  REQUIRE(store::Database::open(file, store::embedded_migrations().first(3)));
  execute(file,
          "INSERT INTO streams (port, backend, label) VALUES (9000, 'a:1', 'web');"
          "INSERT INTO stream_events (at, action, port, backend_after, label, enabled) VALUES"
          " ('2026-11-01T14:00:00.000Z', 'created', 9000, 'a:1', 'web', 1)");
  const auto opened = store::Database::open(file);
  REQUIRE(opened);
  core::StreamSpec expected = *core::make_spec("9000", "a:1");
  expected.label = "web";
  REQUIRE(expected.durable == core::Durability::established);
  const auto stored = (*opened)->load();
  REQUIRE(stored->streams.size() == 1);
  CHECK(stored->streams.front().spec == expected);
  CHECK(stored->recorded.at(9000).spec == expected);  // else a start would tell of a change by hand
  const auto then = (*opened)->as_of(minute(600));
  REQUIRE(then->size() == 1);
  CHECK(then->front().spec == expected);
  CHECK_THROWS(execute(file, "UPDATE stream_events SET durable = 'off'"));
  CHECK_THROWS(execute(file, "DELETE FROM stream_events"));
}

TEST_CASE("how durable a stream is can be written by hand, in the words that there are") {
  Opened open;
  execute(open.file, "INSERT INTO streams (port, backend) VALUES (9000, 'a:1')");
  const auto durable = [&] { return open.database->load()->streams.at(0).spec.durable; };
  CHECK(durable() == core::Durability::established);
  execute(open.file, "UPDATE streams SET durable = 'early'");
  CHECK(durable() == core::Durability::early);
  CHECK_THROWS(execute(open.file, "UPDATE streams SET durable = 'always'"));
  CHECK_THROWS(execute(open.file, "UPDATE streams SET durable = NULL"));
  execute(open.file, "PRAGMA ignore_check_constraints = 1; UPDATE streams SET durable = 'always'");
  const auto stored = open.database->load();
  CHECK(stored->streams.empty());
  REQUIRE(stored->unreadable.size() == 1);
  CHECK_THAT(stored->unreadable.front().why, Catch::Contains("durable is \"always\""));
}

TEST_CASE("how old a stream's sessions may get can be written by hand, as a duration") {
  Opened open;
  execute(open.file, "INSERT INTO streams (port, backend) VALUES (9000, 'a:1')");
  CHECK_FALSE(open.database->load()->streams.at(0).spec.lifetime);
  execute(open.file, "UPDATE streams SET lifetime = '12h'");
  CHECK(open.database->load()->streams.at(0).spec.lifetime == std::chrono::hours{12});
  for (const char* wrong : {"soon", "999ms", "366d"}) {
    execute(open.file, "UPDATE streams SET lifetime = '" + std::string(wrong) + "'");
    const auto stored = open.database->load();
    REQUIRE(stored->unreadable.size() == 1);
    CHECK_THAT(stored->unreadable.front().why, Catch::Contains("lifetime"));
  }
}

}  // namespace
}  // namespace sc::test
