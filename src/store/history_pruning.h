#pragma once

#include <SQLiteCpp/Statement.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "core/event.h"
#include "core/stream_store.h"

namespace SQLite {
class Database;
}

namespace sc::store {

// An event as pruning sees it.
struct PastEvent {
  std::int64_t id = 0;
  core::EventAction action = core::EventAction::created;
  std::string backend_after;  // empty: none
};

// Returns the ids of the events that are not needed to know the state of a port after the last of
// them. `events` are of one port, in the order of their ids. The last event stays, the event
// that created the stream, and the one that set its present backend. If that is its first backend
// again, the event before stays too. No event of a removed stream stays. `events` may be a
// part: what is kept of it and the events that follow are the input of the next call. Pure.
std::vector<std::int64_t> superseded(std::span<const PastEvent> events);

// Deletes old rows of `stream_events`, a few at a time, and keeps the row of `history_start`.
// Throws SQLite::Exception. The thread that has the connection, which outlives this.
class HistoryPruning {
 public:
  // What one step reads and deletes at most, so that a commit that waits for it does not wait long.
  // The amount within these limits follows from the time of the last step. Rows of one port lie on
  // pages of their own, so 500 of them may change 2,000 pages.
  static constexpr std::size_t kMostRows = 500;
  static constexpr std::size_t kFewestRows = 50;
  static constexpr std::chrono::milliseconds kLongStep{10};
  static constexpr std::size_t kMostPorts = 250;

  explicit HistoryPruning(SQLite::Database& connection);

  // See core::StreamStore::prune_history. One transaction, or none if nothing is to be deleted.
  core::PruneStep step(base::WallTime before, std::uint16_t from_port);

 private:
  struct Port {
    std::vector<std::int64_t> superseded;
    std::size_t rows_read = 0;
    bool is_complete = true;  // false: it has more old events than may be read
  };

  std::int64_t newest_id();
  std::optional<std::uint16_t> next_port(int from);
  Port read_port(std::uint16_t port, const std::string& before, std::size_t most_rows);
  void erase(const std::vector<std::int64_t>& ids, const std::string& before);

  void adapt(std::chrono::nanoseconds took);

  SQLite::Database& connection_;
  std::size_t most_rows_ = kFewestRows;
  SQLite::Statement newest_id_;
  SQLite::Statement next_port_;
  SQLite::Statement events_of_port_;
  SQLite::Statement erase_;
  SQLite::Statement note_start_;
};

}  // namespace sc::store
