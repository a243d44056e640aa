#include "store/event_table.h"

#include <SQLiteCpp/Database.h>

#include <algorithm>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/text.h"
#include "store/columns.h"

namespace sc::store {
namespace {

// Each port that history knows, by one look-up each: DISTINCT would read the whole index.
const std::string kPorts =
    "WITH RECURSIVE ports (port) AS (SELECT min(port) FROM stream_events UNION ALL"
    " SELECT (SELECT min(port) FROM stream_events WHERE port > ports.port) FROM ports"
    " WHERE port IS NOT NULL)";

const std::string kAsOf =
    kPorts + " SELECT ports.port, e.backend_after, " + std::string(kSpecColumns) +
    ", e.action, e.at, e.detail, coalesce(e.revision, 1),"
    " (SELECT at FROM stream_events AS c WHERE c.port = ports.port AND c.action = 'created'"
    "  AND c.at <= ?1 ORDER BY c.at DESC, c.id DESC LIMIT 1),"
    " (SELECT actor FROM stream_events AS c WHERE c.port = ports.port AND c.action = 'created'"
    "  AND c.at <= ?1 ORDER BY c.at DESC, c.id DESC LIMIT 1)"
    " FROM ports JOIN stream_events AS e ON e.id = (SELECT id FROM stream_events AS l"
    "  WHERE l.port = ports.port AND l.at <= ?1 ORDER BY l.at DESC, l.id DESC LIMIT 1)"
    " WHERE ports.port IS NOT NULL AND e.action NOT IN ('removed', 'expired')"
    " AND e.backend_after IS NOT NULL";

core::StreamState state_after(const core::StreamSpec& spec, core::EventAction action) {
  if (!spec.enabled) return core::StreamState::disabled;
  return action == core::EventAction::failed ? core::StreamState::failed
                                             : core::StreamState::listening;
}

// The columns of an event in the order in which page() asks for them.
core::RecordedEvent read_event(SQLite::Statement& row) {
  core::RecordedEvent recorded;
  recorded.id = row.getColumn(0).getInt64();
  core::Event& event = recorded.event;
  event.at = base::parse_iso8601(row.getColumn(1).getString()).value_or(base::WallTime{});
  event.action =
      core::parse_event_action(row.getColumn(2).getString()).value_or(core::EventAction::changed);
  const std::string port = row.getColumn(3).getString();
  event.port = base::parse_port(port).value_or(0);
  event.actor = {row.getColumn(4).getString(), row.getColumn(5).getString()};
  event.backend_before = row.getColumn(6).getString();
  event.backend_after = row.getColumn(7).getString();
  event.detail = row.getColumn(8).getString();
  event.revision = read_revision(row.getColumn(9), 0);
  if (!event.backend_after.empty() && !core::is_end(event.action)) {
    if (auto spec = read_spec(row, 10, port, event.backend_after)) event.spec = std::move(*spec);
  }
  return recorded;
}

}  // namespace

EventTable::EventTable(SQLite::Database& connection)
    : connection_(connection),
      append_(connection,
              "INSERT INTO stream_events (at, action, port, actor, request_id, backend_before,"
              " backend_after, detail, revision, " +
                  std::string(kSpecColumns) +
                  ") VALUES (max(?1, coalesce((SELECT at FROM stream_events WHERE port = ?3"
                  " ORDER BY id DESC LIMIT 1), '')), ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11,"
                  " ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)"),
      recorded_(connection, kPorts + " SELECT e.port, e.backend_after, " +
                                std::string(kSpecColumns) +
                                ", e.action FROM ports JOIN stream_events AS e ON e.id ="
                                " (SELECT max(id) FROM stream_events WHERE port = ports.port)"
                                " WHERE ports.port IS NOT NULL AND e.action NOT IN ('removed',"
                                " 'expired') AND e.backend_after IS NOT NULL"),
      time_of_(connection, "SELECT at FROM stream_events WHERE id = ?"),
      newest_id_(connection, "SELECT coalesce(max(id), 0) FROM stream_events"),
      start_(connection, "SELECT at, deleted_id FROM history_start"),
      as_of_(connection, kAsOf) {}

const char* EventTable::as_of_sql() { return kAsOf.c_str(); }

// The times of a port never go back, though the host's clock may: as_of goes by them.
void EventTable::append(const core::Event& event) {
  const Use use(append_);
  append_.bind(1, base::to_iso8601(event.at));
  append_.bind(2, std::string(core::to_string(event.action)));
  append_.bind(3, static_cast<int>(event.port));
  bind_or_null(append_, 4, event.actor.name);
  bind_or_null(append_, 5, event.actor.request_id);
  bind_or_null(append_, 6, event.backend_before);
  bind_or_null(append_, 7, event.backend_after);
  bind_or_null(append_, 8, event.detail);
  if (event.spec) {
    append_.bind(9, event.revision);
    bind_spec(append_, 10, *event.spec);
  }
  append_.exec();
}

std::map<std::uint16_t, core::RecordedStream> EventTable::recorded() {
  constexpr int kAction = 2 + kSpecColumnCount;
  std::map<std::uint16_t, core::RecordedStream> out;
  const Use use(recorded_);
  while (recorded_.executeStep()) {
    const std::string port = recorded_.getColumn(0).getString();
    auto spec = read_spec(recorded_, 2, port, recorded_.getColumn(1).getString());
    if (!spec) continue;
    const bool is_failed =
        recorded_.getColumn(kAction).getString() == core::to_string(core::EventAction::failed);
    out.emplace(spec->port, core::RecordedStream{std::move(*spec), is_failed});
  }
  return out;
}

core::HistoryStart EventTable::start() {
  core::HistoryStart out;
  const Use use(start_);
  if (!start_.executeStep()) return out;
  out.at = base::parse_iso8601(start_.getColumn(0).getString());
  out.deleted_id = start_.getColumn(1).getInt64();
  return out;
}

// Made for each query: which index serves it depends on what is asked for.
std::string EventTable::page_sql(const core::HistoryQuery& query) {
  std::string sql =
      "SELECT id, at, action, port, actor, request_id, backend_before, backend_after, detail,"
      " revision, " +
      std::string(kSpecColumns) + " FROM stream_events WHERE true";
  if (query.since) sql += " AND at >= :since";
  if (query.until) sql += " AND at < :until";
  if (query.actor) sql += " AND actor = :actor";
  if (query.action) sql += " AND action = :action";
  if (query.port) sql += " AND port = :port";
  if (query.before_id) sql += " AND (at, id) < (:before_at, :before_id)";
  if (query.after_id) sql += " AND id > :after_id ORDER BY id LIMIT :limit";
  return query.after_id ? sql : sql + " ORDER BY at DESC, id DESC LIMIT :limit";
}

core::HistoryPage EventTable::page(const core::HistoryQuery& query) {
  const std::size_t limit = std::clamp<std::size_t>(query.limit, 1, core::kMaxHistoryPage);
  SQLite::Statement select(connection_, page_sql(query));
  if (query.since) select.bind(":since", base::to_iso8601(*query.since));
  if (query.until) select.bind(":until", base::to_iso8601(*query.until));
  if (query.actor) select.bind(":actor", *query.actor);
  if (query.action) select.bind(":action", std::string(core::to_string(*query.action)));
  if (query.port) select.bind(":port", static_cast<int>(*query.port));
  if (query.before_id) {
    const Use use(time_of_);
    time_of_.bind(1, *query.before_id);
    if (!time_of_.executeStep()) return {};
    select.bind(":before_at", time_of_.getColumn(0).getString());
    select.bind(":before_id", *query.before_id);
  }
  core::HistoryPage page;
  if (query.after_id) {
    select.bind(":after_id", *query.after_id);
    const Use use(newest_id_);
    if (newest_id_.executeStep()) page.newest_id = newest_id_.getColumn(0).getInt64();
  }
  select.bind(":limit", static_cast<std::int64_t>(limit) + 1);
  while (select.executeStep()) {
    if (page.events.size() == limit) {
      if (!query.after_id) page.before_id = page.events.back().id;
      break;
    }
    page.events.push_back(read_event(select));
  }
  page.start = start();  // last: what is deleted meanwhile shows in it
  return page;
}

std::vector<core::Stream> EventTable::as_of(base::WallTime time) {
  std::vector<core::Stream> out;
  const Use use(as_of_);
  as_of_.bind(1, base::to_iso8601(time));
  constexpr int kRest = 2 + kSpecColumnCount;
  while (as_of_.executeStep()) {
    auto spec =
        read_spec(as_of_, 2, as_of_.getColumn(0).getString(), as_of_.getColumn(1).getString());
    const auto action = core::parse_event_action(as_of_.getColumn(kRest).getString());
    const auto at = base::parse_iso8601(as_of_.getColumn(kRest + 1).getString());
    if (!spec || !action || !at) continue;  // no service wrote it
    core::Stream stream;
    stream.state = state_after(*spec, *action);
    stream.spec = std::move(*spec);
    if (stream.state == core::StreamState::failed)
      stream.reason = as_of_.getColumn(kRest + 2).getString();
    stream.updated_at = *at;
    stream.revision = read_revision(as_of_.getColumn(kRest + 3), 1);
    stream.created_at = base::parse_iso8601(as_of_.getColumn(kRest + 4).getString()).value_or(*at);
    stream.created_by = as_of_.getColumn(kRest + 5).getString();
    out.push_back(std::move(stream));
  }
  return out;
}

}  // namespace sc::store
