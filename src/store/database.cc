#include "store/database.h"

#include <SQLiteCpp/Database.h>
#include <sqlite3.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <thread>
#include <utility>

#include "base/log.h"
#include "store/end_mark.h"
#include "store/folder.h"
#include "store/history_pruning.h"
#include "store/inspection.h"
#include "store/integrity_check.h"
#include "store/restoration.h"
#include "store/sqlite_error.h"
#include "store/stream_table.h"
#include "store/token_table.h"

namespace sc::store {
namespace {

using std::chrono::milliseconds;

constexpr int kBusyMillis = 5000;  // somebody's sqlite3 may hold the write lock
constexpr milliseconds kBusyStep{5};
constexpr const char* kWhat = "the database did not take it";

// Statements of a transaction's end and repair: what they fail with is known already.
void try_exec(SQLite::Database& connection, const char* sql) {
  sqlite3_exec(connection.getHandle(), sql, nullptr, nullptr, nullptr);
}

// The -wal is there since the journal mode was set.
void note_files(const std::string& file) {
  const ClaimRecord record{.pid = ::getpid(),
                           .database = identify(file).value_or(FileIdentity{}),
                           .log = identify(file + "-wal").value_or(FileIdentity{})};
  if (auto written = write_claim_record(folder_of(file), record); !written)
    base::log::warning("the record of the database's files was not written",
                       {{"reason", written.error().message}});
}

// SQLite gives ids out in order up to 2^63-1, then at random; JSON numbers are exact up to 2^53-1.
// Only a row that was written by hand has a larger id. Streams do not depend on it, so the service
// starts.
void report_extreme_id(SQLite::Database& connection) try {
  constexpr std::int64_t kMostId = (std::int64_t{1} << 53) - 1;
  const std::int64_t newest =
      connection.execAndGet("SELECT coalesce(max(id), 0) FROM stream_events").getInt64();
  if (newest <= kMostId) return;
  base::log::error(
      "history has an id that is too large, its order and its cursors are not reliable",
      {{"id", std::to_string(newest)},
       {"most", std::to_string(kMostId)},
       {"remedy", "restore a backup"}});
} catch (const SQLite::Exception&) {
  // The first query reports what is wrong.
}

}  // namespace

base::Result<std::unique_ptr<SQLite::Database>> connect(const std::string& file) {
  std::unique_ptr<SQLite::Database> connection;  // outlives its exception
  try {
    connection = std::make_unique<SQLite::Database>(file, SQLite::OPEN_READWRITE, kBusyMillis);
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
  } catch (const SQLite::Exception& failure) {
    return to_error("the database " + file + " cannot be used", failure,
                    connection ? connection->getHandle() : nullptr);
  }
}

base::Result<std::unique_ptr<Database>> Database::open(const std::string& file,
                                                       std::span<const Migration> known) {
  auto claim = claim_folder(folder_of(file));
  if (!claim) return claim.error();
  auto opened = open_claimed(file, known);
  if (opened) (*opened)->claim_ = std::move(*claim);
  return opened;
}

base::Result<std::unique_ptr<Database>> Database::open_claimed(const std::string& file,
                                                               std::span<const Migration> known) {
  auto set_aside = set_foreign_log_aside(file);
  if (!set_aside) return set_aside.error();
  if (*set_aside)
    base::log::warning("log of another database set aside", {{"reason", **set_aside}});
  if (auto writable = check_writable(file); !writable) return writable.error();
  std::shared_ptr<IntegrityCheck> check;
  auto applied =
      take_end_mark(file) ? inspect_schema(file, known) : inspect_for_start(file, known, check);
  if (!applied) return applied.error();
  if (check) base::log::info("database was not closed cleanly, so it is checked", {{"file", file}});
  if (auto made = ensure_file(file); !made) return made.error();
  auto connection = connect(file);
  if (!connection) return connection.error();
  if (auto migrated = apply_migrations(**connection, *applied, known); !migrated)
    return base::Error{migrated.error().code,
                       "the database " + file + ": " + migrated.error().message};
  report_extreme_id(**connection);
  sqlite3_wal_autocheckpoint((*connection)->getHandle(), 0);  // see LogKeeper
  auto watch = FileWatch::start((*connection)->getHandle(), file);
  if (!watch) return watch.error();
  note_files(file);
  return std::unique_ptr<Database>(
      new Database(file, std::move(*connection), std::move(*watch), std::move(check)));
}

Database::Database(std::string file, std::unique_ptr<SQLite::Database> connection, FileWatch watch,
                   std::shared_ptr<IntegrityCheck> check)
    : file_(std::move(file)),
      files_(name_files(file_)),
      check_(std::move(check)),
      connection_(std::move(connection)),
      watch_(std::move(watch)),
      log_keeper_(std::make_unique<LogKeeper>(connection_->getHandle(), watch_)),
      queries_(std::make_unique<Queries>(*connection_)) {
  sqlite3_busy_handler(connection_->getHandle(), &Database::on_busy, this);
}

// PASSIVE does not wait: a reader must not hold up the service's end. Closing does the rest when no
// reader is left.
Database::~Database() {
  log_keeper_.reset();
  // The check's connection must not stay open: whatever opens the files next may close them by a
  // plain descriptor, which would release its POSIX locks.
  const bool is_checked = !check_ || check_->is_passed();
  if (check_) check_->stop();
  const bool is_as_opened = !look_at_files();
  if (is_as_opened) try_exec(*connection_, "PRAGMA wal_checkpoint(PASSIVE)");
  // Statements go before their connection.
  pruning_.reset();
  queries_.reset();
  const bool is_same = name_files(file_) == files_;
  connection_.reset();
  // A database that was not read whole is checked by the next start, and so are files that replaced
  // ours.
  if (is_as_opened && is_same && is_checked) leave_end_mark(file_);
}

std::optional<base::Error> Database::look_at_files() {
  if (!watch_.look()) return std::nullopt;
  log_keeper_.reset();
  // Nothing waits for a lock here: what is not settled is tried again at the next look.
  sqlite3_busy_handler(connection_->getHandle(), nullptr, nullptr);
  watch_.settle();
  sqlite3_busy_handler(connection_->getHandle(), &Database::on_busy, this);
  return base::Error{base::Errc::replaced, watch_.describe()};
}

// A log that is still needed is lost with this connection, except where the next one sets it aside.
base::Result<void> Database::prepare_to_close() {
  look_at_files();
  watch_.drop_index();
  if (watch_.is_settled()) return {};
  const auto change = watch_.change();
  if (change == FileChange::replaced && (!watch_.has_log_in_place() || find_foreign_log(file_)))
    return {};
  return base::Error{
      base::Errc::unavailable,
      change == FileChange::rewritten
          ? "the log of the former content can neither be emptied nor renamed: see that the disk "
            "can be written, then reload again"
          : "a program that reads the former database keeps its log in use: end that program, "
            "then reload again"};
}

bool Database::keep_log_short(LogStats& stats) {
  if (!log_keeper_) log_keeper_ = std::make_unique<LogKeeper>(connection_->getHandle(), watch_);
  sqlite3_busy_handler(connection_->getHandle(), nullptr, nullptr);
  log_keeper_->step(stats);
  watch_.look();  // knows the checkpoint's own changes at once
  sqlite3_busy_handler(connection_->getHandle(), &Database::on_busy, this);
  return !log_keeper_->is_long();
}

void Database::release_memory() { try_exec(*connection_, "PRAGMA shrink_memory"); }

int Database::on_busy(void* self, int calls) {
  const auto& gives_up = static_cast<Database*>(self)->gives_up_;
  const bool is_over = gives_up ? gives_up() : calls * kBusyStep >= milliseconds{kBusyMillis};
  if (is_over) return 0;
  std::this_thread::sleep_for(kBusyStep);
  return 1;
}

std::vector<base::Result<void>> Database::commit(std::span<const Writes> batch,
                                                 const std::function<bool(std::size_t)>& takes) {
  std::vector<base::Result<void>> results;
  results.reserve(batch.size());
  was_locked_ = false;
  if (auto fault = look_at_files())
    return std::vector<base::Result<void>>(batch.size(), std::move(*fault));
  try {
    connection_->exec("BEGIN IMMEDIATE");
    base::Result<void> disk{};  // what it refuses first, it refuses to the later ones: order counts
    for (std::size_t i = 0; i < batch.size(); ++i) {
      const bool is_left_out = takes && !takes(i);
      results.push_back(is_left_out ? base::Result<void>{} : disk ? write_one(batch[i]) : disk);
      if (disk && !results.back() && results.back().error().code == base::Errc::unavailable)
        disk = results.back();
    }
    connection_->exec("COMMIT");
    watch_.note_commit();
    // Replaced in this moment: the commit went to a file that has no name any more.
    if (auto fault = look_at_files())
      return std::vector<base::Result<void>>(batch.size(), std::move(*fault));
  } catch (const SQLite::Exception& failure) {
    const base::Error error = to_error(kWhat, failure, connection_->getHandle());
    was_locked_ = failure.getErrorCode() == SQLITE_BUSY && results.empty();
    if (in_transaction()) try_exec(*connection_, "ROLLBACK");
    // What had failed by itself keeps its own reason.
    results.resize(batch.size());
    for (base::Result<void>& result : results)
      if (result) result = error;
  }
  return results;
}

// The version is in the file's first page, which is written and synced although it stays the same.
base::Result<void> Database::probe() try {
  if (auto fault = look_at_files()) return *fault;
  const auto version = connection_->execAndGet("PRAGMA user_version").getInt64();
  connection_->exec("BEGIN IMMEDIATE");
  connection_->exec("PRAGMA user_version = " + std::to_string(version));
  connection_->exec("COMMIT");
  watch_.note_commit();
  return {};
} catch (const SQLite::Exception& failure) {
  base::Error error = to_error(kWhat, failure, connection_->getHandle());
  if (in_transaction()) try_exec(*connection_, "ROLLBACK");
  return error;
}

// A failure takes back these writes alone. But some (a full disk, an I/O error) make SQLite roll
// the whole transaction back: then it is thrown on.
base::Result<void> Database::write_one(const Writes& writes) {
  connection_->exec("SAVEPOINT one");
  base::Result<void> done{};
  try {
    for (auto write = writes.begin(); done && write != writes.end(); ++write)
      done = queries_->streams().write(*write);
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

base::Result<core::PruneStep> Database::prune_history(base::WallTime before,
                                                      std::uint16_t from_port) {
  if (auto fault = look_at_files()) return *fault;
  try {
    if (!pruning_) pruning_ = std::make_unique<HistoryPruning>(*connection_);
    auto step = pruning_->step(before, from_port);
    watch_.note_commit();
    return step;
  } catch (const SQLite::Exception& failure) {
    return to_error("old history cannot be deleted", failure, connection_->getHandle());
  }
}

base::Result<void> Database::note_token_use(const std::string& sha256, base::WallTime at) try {
  if (auto fault = look_at_files()) return *fault;
  queries_->tokens().note_use(sha256, at);
  watch_.note_commit();
  return {};
} catch (const SQLite::Exception& failure) {
  return to_error(kWhat, failure, connection_->getHandle());
}

}  // namespace sc::store
