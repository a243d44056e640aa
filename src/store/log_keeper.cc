#include "store/log_keeper.h"

#include <sqlite3.h>

#include <system_error>

#include "base/blocked_signals.h"

namespace sc::store {
namespace {

// More than this is copied by a thread of its own: on a disk of 100 MB/s commits would wait for
// longer than 0.1 s.
constexpr std::uint64_t kTooMuch = 8ULL * 1024 * 1024;

}  // namespace

LogKeeper::LogKeeper(sqlite3* connection, FileWatch& watch)
    : connection_(connection), watch_(watch) {
  open_aside();
}

LogKeeper::~LogKeeper() {
  if (runs_aside_) sqlite3_interrupt(aside_);
  if (thread_.joinable()) thread_.join();
  sqlite3_close(aside_);
}

void LogKeeper::note(LogStats& stats) {
  const LogState log = watch_.log();
  const std::uint64_t waiting =
      log.copied < log.frames ? std::uint64_t{log.frames - log.copied} * log.page_size : 0;
  stats.waiting_bytes = waiting;
  stats.bytes = watch_.log_bytes();
  is_long_ = stats.bytes > kLong;
}

void LogKeeper::step(LogStats& stats) {
  note(stats);
  if (runs_aside_) return;
  if (thread_.joinable()) thread_.join();
  const LogState log = watch_.log();
  const bool is_quiet = log.frames == last_frames_ && log.salt == last_salt_;
  last_frames_ = log.frames;
  last_salt_ = log.salt;
  if (log.frames == 0) return;
  if (!log.is_all_copied()) {
    if (stats.waiting_bytes > kTooMuch) return copy_aside(stats);
    copy(stats);
  }
  if (watch_.log().is_all_copied() && (is_quiet || is_long_)) empty();
  note(stats);
}

bool LogKeeper::has_much() const {
  if (runs_aside_) return false;
  const LogState log = watch_.log();
  return log.frames >= kMuch + (log.salt == last_salt_ ? last_frames_ : 0);
}

void LogKeeper::copy(LogStats& stats) {
  // Nothing is copied to a file that another program has overwritten.
  if (watch_.look()) return;
  const std::uint32_t before = watch_.log().copied;
  const int code =
      sqlite3_wal_checkpoint_v2(connection_, "main", SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
  if (code == SQLITE_OK && watch_.log().copied != before) ++stats.checkpoints;
  // BUSY: another program's checkpoint runs.
  if (code != SQLITE_OK && code != SQLITE_BUSY) ++stats.failed_checkpoints;
}

// Takes the locks of the writer and of the readers for the moment of an ftruncate(2), and only if
// all are free, as the connection has no busy handler now. Another program that wants to write at
// that moment waits as it does for a commit.
void LogKeeper::empty() {
  if (watch_.look()) return;
  sqlite3_wal_checkpoint_v2(connection_, "main", SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr);
  last_frames_ = watch_.log().frames;
}

bool LogKeeper::open_aside() {
  if (aside_ != nullptr) return true;
  const char* path = sqlite3_db_filename(connection_, "main");
  // Before the first read, as that opens the -shm: see Reader::identity_.
  if (sqlite3_open_v2(path, &aside_, SQLITE_OPEN_READWRITE, nullptr) != SQLITE_OK ||
      watch_.look()) {
    sqlite3_close(aside_);
    aside_ = nullptr;
    return false;
  }
  sqlite3_db_config(aside_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  sqlite3_exec(aside_, "PRAGMA synchronous = FULL", nullptr, nullptr, nullptr);
  // SQLite opens the log at the first read.
  sqlite3_exec(aside_, "SELECT 1 FROM sqlite_master LIMIT 1", nullptr, nullptr, nullptr);
  if (!watch_.look()) return true;
  // It may have opened a file that has taken the place of the first connection's.
  sqlite3_close(aside_);
  aside_ = nullptr;
  return false;
}

void LogKeeper::copy_aside(LogStats& stats) {
  if (watch_.look()) return;
  if (!open_aside()) {
    ++stats.failed_checkpoints;
    return;
  }
  runs_aside_ = true;
  try {
    const base::BlockedSignals blocked;
    thread_ = std::thread([this, &stats] {
      const int code =
          sqlite3_wal_checkpoint_v2(aside_, "main", SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
      if (code == SQLITE_OK) ++stats.checkpoints;
      if (code != SQLITE_OK && code != SQLITE_BUSY && code != SQLITE_INTERRUPT)
        ++stats.failed_checkpoints;
      runs_aside_ = false;
    });
  } catch (const std::system_error&) {  // the host gives no thread now
    runs_aside_ = false;
    ++stats.failed_checkpoints;
  }
}

}  // namespace sc::store
