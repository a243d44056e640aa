#pragma once

#include <SQLiteCpp/Statement.h>

#include "base/result.h"
#include "core/stream_store.h"

namespace SQLite {
class Database;
}

namespace sc::store {

// The rows of `streams` and `stream_events` <-> core's values, by statements that are prepared
// once. Throws SQLite::Exception. The thread that has the connection, which outlives this.
class StreamTable {
 public:
  explicit StreamTable(SQLite::Database& connection);

  // conflict: see core::AddStream.
  base::Result<void> write(const core::StoreWrite& write);
  core::StoredStreams read();

 private:
  base::Result<void> add(const core::Stream& stream);
  void note(const core::Stream& stream);
  void append(const core::Event& event);

  SQLite::Statement add_;
  SQLite::Statement note_;
  SQLite::Statement erase_;
  SQLite::Statement append_;
  SQLite::Statement select_;
  SQLite::Statement find_;      // a port's backend
  SQLite::Statement recorded_;  // where history left each port
};

}  // namespace sc::store
