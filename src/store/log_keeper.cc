#include "store/log_keeper.h"

#include <sqlite3.h>

#include <system_error>

#include "base/blocked_signals.h"

namespace sc::store {
namespace {

// More than this is copied by a thread of its own: on a disk of 100 MB/s commits would wait for
// longer than 0.1 s.
constexpr std::uint64_t kMuch = 8ULL * 1024 * 1024;

}  // namespace

LogKeeper::~LogKeeper() {
  {
    const std::lock_guard lock(mutex_);
    if (aside_ != nullptr) sqlite3_interrupt(aside_);
  }
  if (thread_.joinable()) thread_.join();
}

void LogKeeper::note() {
  const LogState log = watch_.log();
  const std::uint64_t waiting =
      log.copied < log.frames ? std::uint64_t{log.frames - log.copied} * log.page_size : 0;
  stats_.waiting_bytes = waiting;
  stats_.bytes = watch_.log_bytes();
  is_long_ = stats_.bytes > kLong;
}

void LogKeeper::step() {
  note();
  if (runs_aside_) return;
  if (thread_.joinable()) thread_.join();
  const LogState log = watch_.log();
  const bool is_quiet = log.frames == last_frames_;
  last_frames_ = log.frames;
  if (log.frames == 0) return;
  if (!log.is_all_copied()) {
    if (stats_.waiting_bytes > kMuch) return copy_aside();
    copy();
  }
  if (watch_.log().is_all_copied() && (is_quiet || is_long_)) empty();
  note();
}

void LogKeeper::copy() {
  const std::uint32_t before = watch_.log().copied;
  const int code =
      sqlite3_wal_checkpoint_v2(connection_, "main", SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
  if (code == SQLITE_OK && watch_.log().copied != before) ++stats_.checkpoints;
  // BUSY: another program's checkpoint runs.
  if (code != SQLITE_OK && code != SQLITE_BUSY) ++stats_.failed_checkpoints;
}

// Takes the locks of the writer and of the readers for the moment of an ftruncate(2), and only if
// all are free, as the connection has no busy handler now. Another program that wants to write at
// that moment waits as it does for a commit.
void LogKeeper::empty() {
  sqlite3_wal_checkpoint_v2(connection_, "main", SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr);
  last_frames_ = watch_.log().frames;
}

void LogKeeper::copy_aside() {
  const char* path = sqlite3_db_filename(connection_, "main");
  sqlite3* opened = nullptr;
  if (sqlite3_open_v2(path, &opened, SQLITE_OPEN_READWRITE, nullptr) != SQLITE_OK) {
    sqlite3_close(opened);
    ++stats_.failed_checkpoints;
    return;
  }
  sqlite3_db_config(opened, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  sqlite3_exec(opened, "PRAGMA synchronous = FULL", nullptr, nullptr, nullptr);
  aside_ = opened;
  runs_aside_ = true;
  try {
    const base::BlockedSignals blocked;
    thread_ = std::thread([this, opened] {
      const int code =
          sqlite3_wal_checkpoint_v2(opened, "main", SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
      if (code == SQLITE_OK) ++stats_.checkpoints;
      if (code != SQLITE_OK && code != SQLITE_BUSY && code != SQLITE_INTERRUPT)
        ++stats_.failed_checkpoints;
      const std::lock_guard lock(mutex_);
      aside_ = nullptr;
      sqlite3_close(opened);
      runs_aside_ = false;
    });
  } catch (const std::system_error&) {  // the host gives no thread now
    aside_ = nullptr;
    sqlite3_close(opened);
    runs_aside_ = false;
    ++stats_.failed_checkpoints;
  }
}

}  // namespace sc::store
