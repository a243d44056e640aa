#include "store/history_pruning.h"

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Transaction.h>

#include <algorithm>
#include <array>
#include <utility>

#include "store/columns.h"

namespace sc::store {
namespace {

constexpr int kLastPort = 65535;
// A step does not read fewer rows than this. Otherwise a port whose kept events, up to four, fill
// the read rows would never be finished.
constexpr std::size_t kWorthReading = 8;

// The events of a port that are needed so far. 0: none.
struct Needed {
  std::array<std::int64_t, 4> ids() const { return {created, other_backend, backend_began, last}; }

  std::int64_t created = 0;
  std::string created_backend;
  // The event before backend_began, if the stream came back to the backend that it was created
  // with: without it, mapping_periods would join the two periods.
  std::int64_t other_backend = 0;
  std::int64_t backend_began = 0;
  std::string backend;
  std::int64_t last = 0;
};

Needed needed_after(const Needed& before, const PastEvent& event) {
  if (core::is_end(event.action)) return {};
  Needed now = before;
  now.last = event.id;
  if (event.action == core::EventAction::created) {
    now.created = event.id;
    now.created_backend = event.backend_after;
  }
  if (!event.backend_after.empty() && event.backend_after != before.backend) {
    now.backend_began = event.id;
    now.backend = event.backend_after;
    now.other_backend = now.backend == before.created_backend ? before.last : 0;
  }
  return now;
}

}  // namespace

std::vector<std::int64_t> superseded(std::span<const PastEvent> events) {
  std::vector<std::int64_t> out;
  const auto add_once = [&out](std::int64_t id) {
    if (id != 0 && std::find(out.rbegin(), out.rend(), id) == out.rend()) out.push_back(id);
  };
  Needed needed;
  for (const PastEvent& event : events) {
    const auto before = needed.ids();
    needed = needed_after(needed, event);
    const auto after = needed.ids();
    for (const std::int64_t id : before)
      if (std::find(after.begin(), after.end(), id) == after.end()) add_once(id);
    if (core::is_end(event.action)) add_once(event.id);
  }
  return out;
}

HistoryPruning::HistoryPruning(SQLite::Database& connection)
    : connection_(connection),
      newest_id_(connection, "SELECT coalesce(max(id), 0) FROM stream_events"),
      next_port_(connection, "SELECT min(port) FROM stream_events WHERE port >= ?"),
      events_of_port_(connection,
                      "SELECT id, at, action, backend_after FROM stream_events WHERE port = ?"
                      " ORDER BY id LIMIT ?"),
      erase_(connection, "DELETE FROM stream_events WHERE id = ?"),
      note_start_(connection,
                  "INSERT INTO history_start (one, at, deleted_id) VALUES (1, ?1, ?2)"
                  " ON CONFLICT (one) DO UPDATE SET at = max(at, ?1),"
                  " deleted_id = max(deleted_id, ?2)") {}

std::int64_t HistoryPruning::newest_id() {
  const Use use(newest_id_);
  return newest_id_.executeStep() ? newest_id_.getColumn(0).getInt64() : 0;
}

std::optional<std::uint16_t> HistoryPruning::next_port(int from) {
  const Use use(next_port_);
  next_port_.bind(1, from);
  if (!next_port_.executeStep() || next_port_.isColumnNull(0)) return std::nullopt;
  return static_cast<std::uint16_t>(next_port_.getColumn(0).getUInt());
}

// The times of a port do not go back, so its old events are the first ones.
HistoryPruning::Port HistoryPruning::read_port(std::uint16_t port, const std::string& before,
                                               std::size_t most_rows) {
  Port out;
  std::vector<PastEvent> events;
  {
    const Use use(events_of_port_);
    events_of_port_.bind(1, static_cast<int>(port));
    events_of_port_.bind(2, static_cast<std::int64_t>(most_rows));
    while (events_of_port_.executeStep()) {
      ++out.rows_read;
      if (events_of_port_.getColumn(1).getString() > before) break;
      PastEvent& event = events.emplace_back();
      event.id = events_of_port_.getColumn(0).getInt64();
      event.action = core::parse_event_action(events_of_port_.getColumn(2).getString())
                         .value_or(core::EventAction::changed);
      event.backend_after = events_of_port_.getColumn(3).getString();
    }
  }
  out.is_complete = events.size() < most_rows;
  out.superseded = superseded(events);
  return out;
}

void HistoryPruning::erase(const std::vector<std::int64_t>& ids, const std::string& before) {
  SQLite::Transaction transaction(connection_, SQLite::TransactionBehavior::IMMEDIATE);
  {
    const Use use(note_start_);  // first, as the rows may be deleted only then
    note_start_.bind(1, before);
    note_start_.bind(2, *std::max_element(ids.begin(), ids.end()));
    note_start_.exec();
  }
  for (const std::int64_t id : ids) {
    const Use use(erase_);
    erase_.bind(1, id);
    erase_.exec();
  }
  transaction.commit();
}

void HistoryPruning::adapt(std::chrono::nanoseconds took) {
  if (took > kLongStep) most_rows_ = std::max(kFewestRows, most_rows_ / 2);
  if (took < kLongStep / 2) most_rows_ = std::min(kMostRows, most_rows_ * 2);
}

core::PruneStep HistoryPruning::step(base::WallTime before, std::uint16_t from_port) {
  const std::string horizon = base::to_iso8601(before);
  core::PruneStep out;
  std::vector<std::int64_t> ids;
  std::size_t rows_left = most_rows_;
  std::size_t ports_left = kMostPorts;
  int cursor = from_port;
  while (cursor <= kLastPort) {
    const auto port = next_port(cursor);
    if (!port) break;
    if (rows_left < kWorthReading || ports_left == 0) {
      out.next_port = *port;
      break;
    }
    const Port read = read_port(*port, horizon, rows_left);
    ids.insert(ids.end(), read.superseded.begin(), read.superseded.end());
    if (!read.is_complete) {
      out.next_port = *port;
      break;
    }
    rows_left -= read.rows_read;
    --ports_left;
    cursor = *port + 1;
  }
  // The newest event stays, even if its stream is gone: new ids count on from it, so that none
  // comes twice.
  std::erase(ids, newest_id());
  out.deleted = ids.size();
  if (ids.empty()) return out;
  const auto began = std::chrono::steady_clock::now();
  erase(ids, horizon);
  adapt(std::chrono::steady_clock::now() - began);
  return out;
}

}  // namespace sc::store
