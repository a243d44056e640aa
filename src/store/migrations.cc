#include "store/migrations.h"

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Statement.h>
#include <SQLiteCpp/Transaction.h>

#include <algorithm>

#include "base/text.h"
#include "store/sqlite_error.h"

namespace sc::store {
namespace {

base::Error refused(std::string why) { return {base::Errc::invalid, std::move(why)}; }

std::string count(std::size_t migrations) {
  return std::to_string(migrations) + (migrations == 1 ? " migration" : " migrations");
}

void apply(SQLite::Database& connection, const Migration& migration, std::size_t number) {
  SQLite::Transaction transaction(connection, SQLite::TransactionBehavior::IMMEDIATE);
  connection.exec(
      "CREATE TABLE IF NOT EXISTS schema_migrations (name TEXT PRIMARY KEY, sha256 TEXT NOT NULL,"
      " applied_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))) STRICT");
  connection.exec(std::string(migration.sql));
  SQLite::Statement record(connection,
                           "INSERT INTO schema_migrations (name, sha256) VALUES (?, ?)");
  record.bind(1, std::string(migration.name));
  record.bind(2, sha256_hex(migration.sql));
  record.exec();
  // Both live in the file's header and belong to the transaction.
  connection.exec("PRAGMA application_id = " + std::to_string(kApplicationId));
  connection.exec("PRAGMA user_version = " + std::to_string(number));
  transaction.commit();
}

}  // namespace

base::Result<void> check_applied(std::span<const AppliedMigration> applied,
                                 std::int64_t user_version, std::span<const Migration> known) {
  if (user_version > static_cast<std::int64_t>(known.size()))
    return refused("was written by a newer stream-conductor: it is at schema version " +
                   std::to_string(user_version) + ", this one knows " + count(known.size()));
  for (std::size_t i = 0; i < applied.size(); ++i) {
    const auto& [name, sha256] = applied[i];
    const auto found = std::ranges::find(known, std::string_view(name), &Migration::name);
    if (found == known.end())
      return refused("has a migration that this stream-conductor does not know, " +
                     base::quoted(name));
    if (sha256_hex(found->sql) != sha256)
      return refused("has the migration " + base::quoted(name) +
                     " applied in another form than this stream-conductor knows it (SHA-256 " +
                     base::quoted(sha256) + ")");
    if (found != known.begin() + static_cast<std::ptrdiff_t>(i))
      return refused("lacks the migration " + base::quoted(known[i].name) +
                     ", which comes before its " + base::quoted(name));
  }
  return {};
}

std::vector<AppliedMigration> read_applied(SQLite::Database& connection) {
  std::vector<AppliedMigration> out;
  SQLite::Statement rows(connection, "SELECT name, sha256 FROM schema_migrations ORDER BY name");
  while (rows.executeStep())
    out.push_back({rows.getColumn(0).getString(), rows.getColumn(1).getString()});
  return out;
}

base::Result<void> apply_migrations(SQLite::Database& connection, std::size_t applied,
                                    std::span<const Migration> known) {
  for (std::size_t i = applied; i < known.size(); ++i) {
    try {
      apply(connection, known[i], i + 1);
    } catch (const SQLite::Exception& failure) {
      return to_error("the migration " + base::quoted(known[i].name) + " failed", failure,
                      connection.getHandle());
    }
  }
  return {};
}

}  // namespace sc::store
