#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "core/token.h"

namespace SQLite {
class Database;
}

namespace sc::store {

class TokenTable;

// The tokens of a database that a service may have open at the same time: for the command line. One
// thread.
class TokenAccess {
 public:
  // not_found: the folder has no database. Brings a database up to date that is behind; conflict: a
  // service uses it. Refuses what Database::open refuses.
  static base::Result<std::unique_ptr<TokenAccess>> open(const std::string& file);
  TokenAccess(const TokenAccess&) = delete;
  TokenAccess& operator=(const TokenAccess&) = delete;
  ~TokenAccess();

  base::Result<std::vector<core::Token>> list();  // by name, then by age
  // On disk when it comes back, as the next one. conflict: a token that is not revoked has the
  // name.
  base::Result<void> add(const core::Token& token);
  // not_found: no token has the name, or it is revoked already.
  base::Result<void> revoke(const std::string& name, base::WallTime at);

 private:
  explicit TokenAccess(std::unique_ptr<SQLite::Database> connection);

  std::unique_ptr<SQLite::Database> connection_;
  std::unique_ptr<TokenTable> table_;
};

}  // namespace sc::store
