#include "store/token_access.h"

#include <SQLiteCpp/Database.h>

#include <utility>

#include "store/database.h"
#include "store/folder.h"
#include "store/inspection.h"
#include "store/sqlite_error.h"
#include "store/token_table.h"

namespace sc::store {
namespace {

// The claim of Database::open is held for as short as can be, and only where the schema is not as
// it should be: a service that starts meanwhile would be refused.
base::Result<void> bring_up_to_date(const std::string& file) {
  const auto is_ready = [&]() -> base::Result<bool> {
    auto applied = inspect_schema(file, embedded_migrations());
    if (!applied) return applied.error();
    return *applied == embedded_migrations().size();
  };
  auto ready = is_ready();
  if (!ready) return ready.error();
  if (*ready) return {};
  auto claimed = Database::open(file);
  if (claimed) return {};
  if (claimed.error().code != base::Errc::conflict) return claimed.error();
  // Somebody may just have made it.
  ready = is_ready();
  if (ready && *ready) return {};
  return base::Error{base::Errc::conflict, "the database " + file +
                                               " was made by an earlier stream-conductor, and a "
                                               "service uses it: restart the service first"};
}

}  // namespace

base::Result<std::unique_ptr<TokenAccess>> TokenAccess::open(const std::string& file) {
  if (auto present = require_database(file); !present) return present.error();
  if (auto ready = bring_up_to_date(file); !ready) return ready.error();
  if (auto writable = check_writable(file); !writable) return writable.error();
  auto connection = connect(file);
  if (!connection) return connection.error();
  try {
    return std::unique_ptr<TokenAccess>(new TokenAccess(std::move(*connection)));
  } catch (const SQLite::Exception& failure) {
    return to_error("the database " + file + " cannot be used", failure);
  }
}

TokenAccess::TokenAccess(std::unique_ptr<SQLite::Database> connection)
    : connection_(std::move(connection)), table_(std::make_unique<TokenTable>(*connection_)) {}

TokenAccess::~TokenAccess() = default;

base::Result<std::vector<core::Token>> TokenAccess::list() try {
  return table_->read();
} catch (const SQLite::Exception& failure) {
  return to_error("the tokens cannot be read", failure, connection_->getHandle());
}

base::Result<void> TokenAccess::add(const core::Token& token) try {
  return table_->add(token);
} catch (const SQLite::Exception& failure) {
  return to_error("the database did not take the token", failure, connection_->getHandle());
}

base::Result<void> TokenAccess::revoke(const std::string& name, base::WallTime at) try {
  return table_->revoke(name, at);
} catch (const SQLite::Exception& failure) {
  return to_error("the database did not take it", failure, connection_->getHandle());
}

}  // namespace sc::store
