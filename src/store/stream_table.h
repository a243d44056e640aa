#pragma once

#include <SQLiteCpp/Statement.h>

#include "base/result.h"
#include "core/stream_store.h"
#include "store/event_table.h"
#include "store/traffic_table.h"

namespace SQLite {
class Database;
}

namespace sc::store {

// The rows of `streams` <-> core's values, by statements that are prepared once; writes of
// events and traffic go on to their own tables. Throws SQLite::Exception. The thread that has the
// connection, which outlives this.
class StreamTable {
 public:
  explicit StreamTable(SQLite::Database& connection);

  // conflict: see core::AddStream and ReplaceStream.
  base::Result<void> write(const core::StoreWrite& write);
  core::StoredStreams read();
  EventTable& events() { return events_; }

 private:
  base::Result<void> add(const core::Stream& stream);
  base::Result<void> replace(const core::Stream& stream, const core::StreamSpec& seen);
  void note(const core::Stream& stream);

  EventTable events_;
  TrafficTable traffic_;
  SQLite::Statement add_;
  SQLite::Statement replace_;
  SQLite::Statement note_;
  SQLite::Statement erase_;
  SQLite::Statement select_;
  SQLite::Statement find_;
};

}  // namespace sc::store
