#pragma once

#include <SQLiteCpp/Statement.h>

#include <cstdint>
#include <map>

#include "core/stream_store.h"

namespace SQLite {
class Database;
}

namespace sc::store {

// The rows of `traffic` <-> core's counts. Throws SQLite::Exception. The thread that has the
// connection, which outlives this.
class TrafficTable {
 public:
  explicit TrafficTable(SQLite::Database& connection);

  // See core::SaveTraffic.
  void save(const core::SaveTraffic& save);
  // See core::StoredStreams.
  std::map<std::uint16_t, core::StoredTraffic> read();

 private:
  SQLite::Statement save_;
  SQLite::Statement select_;
};

}  // namespace sc::store
