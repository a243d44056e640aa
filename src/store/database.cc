#include "store/database.h"

#include <SQLiteCpp/Database.h>
#include <sqlite3.h>

#include <filesystem>
#include <utility>

#include "base/log.h"
#include "store/end_mark.h"
#include "store/folder.h"
#include "store/history_pruning.h"
#include "store/inspection.h"
#include "store/integrity_check.h"
#include "store/sqlite_error.h"
#include "store/stream_table.h"
#include "store/token_table.h"

namespace sc::store {
namespace {

constexpr int kBusyMillis = 5000;  // somebody's sqlite3 may hold the write lock
constexpr const char* kWhat = "the database did not take it";

// Statements of a transaction's end and repair: what they fail with is known already.
void try_exec(SQLite::Database& connection, const char* sql) {
  sqlite3_exec(connection.getHandle(), sql, nullptr, nullptr, nullptr);
}

}  // namespace

base::Result<std::unique_ptr<SQLite::Database>> connect(const std::string& file) {
  auto connection = std::make_unique<SQLite::Database>(file, SQLite::OPEN_READWRITE, kBusyMillis);
  if (sqlite3_db_readonly(connection->getHandle(), "main") != 0)
    return base::Error{base::Errc::unavailable, "the database " + file + " is not writable"};
  // Readers without write access to the folder need -wal and -shm to be there, also when we are
  // not.
  int persist = 1;
  sqlite3_file_control(connection->getHandle(), "main", SQLITE_FCNTL_PERSIST_WAL, &persist);
  if (connection->execAndGet("PRAGMA journal_mode = WAL").getString() != "wal")
    return base::Error{base::Errc::unavailable,
                       "the database " + file + " cannot be switched to a write-ahead log"};
  connection->exec("PRAGMA synchronous = FULL");
  connection->exec("PRAGMA foreign_keys = ON");
  connection->exec("PRAGMA journal_size_limit = 16777216");  // bytes that stay of a log that grew
  return connection;
}

base::Result<std::unique_ptr<Database>> Database::open(const std::string& file,
                                                       std::span<const Migration> known) {
  const auto folder = std::filesystem::path(file).parent_path();
  auto lock = claim_folder(folder.empty() ? "." : folder.string());
  if (!lock) return lock.error();
  if (auto writable = check_writable(file); !writable) return writable.error();
  std::shared_ptr<IntegrityCheck> check;
  auto applied =
      take_end_mark(file) ? inspect_schema(file, known) : inspect_for_start(file, known, check);
  if (!applied) return applied.error();
  if (check) base::log::info("database was not closed cleanly, so it is checked", {{"file", file}});
  if (auto made = ensure_file(file); !made) return made.error();
  try {
    auto connection = connect(file);
    if (!connection) return connection.error();
    if (auto migrated = apply_migrations(**connection, *applied, known); !migrated)
      return base::Error{migrated.error().code,
                         "the database " + file + ": " + migrated.error().message};
    return std::unique_ptr<Database>(
        new Database(file, std::move(*lock), std::move(*connection), std::move(check)));
  } catch (const SQLite::Exception& failure) {
    return to_error("the database " + file + " cannot be used", failure);
  }
}

Database::Database(std::string file, base::Fd lock, std::unique_ptr<SQLite::Database> connection,
                   std::shared_ptr<IntegrityCheck> check)
    : file_(std::move(file)),
      lock_(std::move(lock)),
      check_(std::move(check)),
      connection_(std::move(connection)) {}

// PASSIVE waits for nobody: a reader must not hold up the service's end. Closing does the rest when
// no reader is left.
void Database::release_memory() { try_exec(*connection_, "PRAGMA shrink_memory"); }

Database::~Database() {
  try_exec(*connection_, "PRAGMA wal_checkpoint(PASSIVE)");
  // Statements go before their connection.
  pruning_.reset();
  tokens_.reset();
  table_.reset();
  connection_.reset();
  // A database that was not read whole is checked by the next start.
  if (!check_ || check_->is_passed()) leave_end_mark(file_);
}

std::vector<base::Result<void>> Database::commit(std::span<const Writes> batch) {
  std::vector<base::Result<void>> results;
  results.reserve(batch.size());
  try {
    connection_->exec("BEGIN IMMEDIATE");
    for (const Writes& writes : batch) results.push_back(write_one(writes));
    connection_->exec("COMMIT");
  } catch (const SQLite::Exception& failure) {
    const base::Error error = to_error(kWhat, failure, connection_->getHandle());
    if (in_transaction()) try_exec(*connection_, "ROLLBACK");
    // What had failed by itself keeps its own reason.
    results.resize(batch.size());
    for (base::Result<void>& result : results)
      if (result) result = error;
  }
  return results;
}

// A failure takes back these writes alone. But some (a full disk, an I/O error) make SQLite roll
// the whole transaction back: then it is thrown on.
base::Result<void> Database::write_one(const Writes& writes) {
  connection_->exec("SAVEPOINT one");
  base::Result<void> done{};
  try {
    for (auto write = writes.begin(); done && write != writes.end(); ++write)
      done = table().write(*write);
  } catch (const SQLite::Exception& failure) {
    if (!in_transaction()) throw;
    done = to_error(kWhat, failure, connection_->getHandle());
  }
  if (!done) connection_->exec("ROLLBACK TO one");
  connection_->exec("RELEASE one");
  return done;
}

bool Database::in_transaction() const {
  return sqlite3_get_autocommit(connection_->getHandle()) == 0;
}

base::Result<core::StoredStreams> Database::load() {
  try {
    return table().read();
  } catch (const SQLite::Exception& failure) {
    return to_error("the streams cannot be read", failure, connection_->getHandle());
  }
}

base::Result<core::HistoryPage> Database::history(const core::HistoryQuery& query) {
  try {
    return table().events().page(query);
  } catch (const SQLite::Exception& failure) {
    return to_error("history cannot be read", failure, connection_->getHandle());
  }
}

base::Result<std::vector<core::Stream>> Database::as_of(base::WallTime time) {
  try {
    const auto start = table().events().start().at;
    if (start && time < *start)
      return base::Error{base::Errc::not_found,
                         "the history begins at " + base::to_iso8601(*start) +
                             ": what was mapped before that is not known any more"};
    return table().events().as_of(time);
  } catch (const SQLite::Exception& failure) {
    return to_error("history cannot be read", failure, connection_->getHandle());
  }
}

base::Result<core::PruneStep> Database::prune_history(base::WallTime before,
                                                      std::uint16_t from_port) {
  try {
    if (!pruning_) pruning_ = std::make_unique<HistoryPruning>(*connection_);
    return pruning_->step(before, from_port);
  } catch (const SQLite::Exception& failure) {
    return to_error("old history cannot be deleted", failure, connection_->getHandle());
  }
}

StreamTable& Database::table() {
  if (!table_) table_ = std::make_unique<StreamTable>(*connection_);
  return *table_;
}

TokenTable& Database::tokens() {
  if (!tokens_) tokens_ = std::make_unique<TokenTable>(*connection_);
  return *tokens_;
}

// data_version changes with what other connections commit, never with what this one does. Asked
// first: what is committed in between is read, and makes the next answer a reload for nothing.
base::Result<std::optional<core::TokenSnapshot>> Database::load_tokens(
    std::optional<std::int64_t> known) try {
  const std::int64_t version = connection_->execAndGet("PRAGMA data_version").getInt64();
  if (version == known) return std::optional<core::TokenSnapshot>();
  return std::optional(core::TokenSnapshot{version, tokens().read()});
} catch (const SQLite::Exception& failure) {
  return to_error("the tokens cannot be read", failure, connection_->getHandle());
}

base::Result<void> Database::note_token_use(const std::string& sha256, base::WallTime at) try {
  tokens().note_use(sha256, at);
  return {};
} catch (const SQLite::Exception& failure) {
  return to_error(kWhat, failure, connection_->getHandle());
}

}  // namespace sc::store
