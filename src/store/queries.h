#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "core/stream_store.h"
#include "core/token_store.h"

namespace SQLite {
class Database;
}

namespace sc::store {

class StreamTable;
class TokenTable;

// What can be asked of a connection, which outlives this. Statements are prepared at their first
// use. An SQLite exception becomes an Error. The thread that has the connection.
class Queries {
 public:
  explicit Queries(SQLite::Database& connection);
  Queries(const Queries&) = delete;
  Queries& operator=(const Queries&) = delete;
  ~Queries();

  base::Result<core::StoredStreams> load();
  base::Result<core::HistoryPage> history(const core::HistoryQuery& query);
  base::Result<std::vector<core::Stream>> as_of(base::WallTime time);
  // See core::TokenStore.
  base::Result<std::optional<core::TokenSnapshot>> load_tokens(std::optional<std::int64_t> known);

  // Throw SQLite::Exception at their first use, if the schema is not ours.
  StreamTable& streams();
  TokenTable& tokens();

 private:
  SQLite::Database& connection_;
  std::unique_ptr<StreamTable> streams_;
  std::unique_ptr<TokenTable> tokens_;
};

}  // namespace sc::store
