#pragma once

#include <SQLiteCpp/Statement.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/event.h"
#include "core/stream.h"
#include "core/stream_store.h"

namespace SQLite {
class Database;
}

namespace sc::store {

// The rows of `stream_events` <-> core's events. Throws SQLite::Exception. The thread that has the
// connection, which outlives this.
class EventTable {
 public:
  explicit EventTable(SQLite::Database& connection);

  void append(const core::Event& event);
  // How the last event of each port left it; none for a port whose stream is gone.
  std::map<std::uint16_t, core::RecordedStream> recorded();
  core::HistoryStart start();
  core::HistoryPage page(const core::HistoryQuery& query);
  // See StreamStore::as_of. By indexes alone: a few look-ups for each port that history knows.
  std::vector<core::Stream> as_of(base::WallTime time);

  // For tests of how they are carried out.
  static const char* as_of_sql();
  static std::string page_sql(const core::HistoryQuery& query);

 private:
  SQLite::Database& connection_;
  SQLite::Statement append_;
  SQLite::Statement recorded_;
  SQLite::Statement time_of_;
  SQLite::Statement newest_id_;
  SQLite::Statement start_;
  SQLite::Statement as_of_;
};

}  // namespace sc::store
