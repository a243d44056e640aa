#pragma once

#include <SQLiteCpp/Statement.h>

#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "core/token.h"

namespace SQLite {
class Database;
}

namespace sc::store {

// The rows of `api_tokens` <-> core's values, by statements that are prepared once. Throws
// SQLite::Exception. The thread that has the connection, which outlives this.
class TokenTable {
 public:
  explicit TokenTable(SQLite::Database& connection);

  // By name, then by age. What somebody wrote by hand and we cannot read is taken for less, never
  // for more: no ports, expired.
  std::vector<core::Token> read();
  // conflict: a token that is not revoked has the name.
  base::Result<void> add(const core::Token& token);
  // not_found: no token has the name, or it is revoked already.
  base::Result<void> revoke(const std::string& name, base::WallTime at);
  void note_use(const std::string& sha256, base::WallTime at);

 private:
  SQLite::Statement select_;
  SQLite::Statement add_;
  SQLite::Statement revoke_;
  SQLite::Statement note_use_;
};

}  // namespace sc::store
