#include "store/restoration.h"

#include <SQLiteCpp/Database.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>
#include <utility>

#include "base/fd.h"
#include "store/file_identity.h"
#include "store/folder.h"

namespace sc::store {
namespace {

bool has_bytes(const std::string& file) {
  std::error_code missing;
  const auto size = std::filesystem::file_size(file, missing);
  return !missing && size > 0;
}

// The bytes that a connection locks for as long as it uses a database in WAL mode
// (sqlite.org/src/file/src/os.h, SHARED_FIRST and SHARED_SIZE).
constexpr off_t kSharedFirst = 0x40000002;
constexpr off_t kSharedSize = 510;

// Does another process have the database open? The caller has not: to close a descriptor of the
// file releases the POSIX locks of the process.
bool is_in_use(const std::string& file) {
  const base::Fd opened(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = kSharedFirst;
  lock.l_len = kSharedSize;
  return opened && ::fcntl(opened.get(), F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

// Moves what is in the log into the file, so that the file alone is the whole database. Fails for
// a database that is damaged, which a restore is often about.
void complete(const std::string& file) {
  if (!has_bytes(file) || !(has_bytes(file + "-wal") || has_bytes(file + "-journal"))) return;
  try {
    SQLite::Database connection(file, SQLite::OPEN_READWRITE);
    connection.exec("PRAGMA synchronous = FULL");
    connection.execAndGet("SELECT count(*) FROM sqlite_master");
    sqlite3_wal_checkpoint_v2(connection.getHandle(), "main", SQLITE_CHECKPOINT_TRUNCATE, nullptr,
                              nullptr);
  } catch (const SQLite::Exception&) {
    return;  // its log stays, and set_foreign_log_aside() knows it by the record
  }
}

}  // namespace

bool has_foreign_log(const std::string& file) {
  const auto record = read_claim_record(folder_of(file));
  const auto database_now = identify(file);
  return record && database_now && *database_now != record->database &&
         identify(file + "-wal") == record->log;
}

std::optional<std::string> find_foreign_log(const std::string& file) {
  const std::string log = file + "-wal";
  if (!has_bytes(log) || !has_foreign_log(file)) return std::nullopt;
  return log + " belongs to the former database, not to the file that is at " + file + " now";
}

base::Result<std::optional<std::string>> set_foreign_log_aside(const std::string& file) {
  const std::string log = file + "-wal";
  auto found = find_foreign_log(file);
  if (!found) {
    // A program that still has the former database open goes on with an empty log and its -shm.
    // With the file of today they may be in use since the former database was closed.
    if (has_foreign_log(file) && !is_in_use(file))
      for (const std::string& each : {log, file + "-shm"}) ::unlink(each.c_str());
    return std::optional<std::string>();
  }
  if (std::rename(log.c_str(), (log + ".former").c_str()) != 0)
    return base::Error{base::Errc::unavailable,
                       base::describe_errno(*found + ", and it cannot be renamed", errno)};
  ::unlink((file + "-shm").c_str());
  if (auto synced = sync_folder(folder_of(file)); !synced) return synced.error();
  return std::optional(*found + ": it was renamed to " + log + ".former");
}

base::Result<void> replace_database(const std::string& file, PartialCopy copy) {
  if (auto settled = set_foreign_log_aside(file); !settled) return settled.error();
  complete(file);
  // From here on a crash may leave the old log with the new file. By this record the next start
  // knows that it is the old one.
  const std::string folder = folder_of(file);
  const ClaimRecord former{.pid = ::getpid(),
                           .database = identify(file).value_or(FileIdentity{}),
                           .log = identify(file + "-wal").value_or(FileIdentity{})};
  if (auto recorded = write_claim_record(folder, former); !recorded) return recorded;
  // An unfinished transaction of the old file would be rolled back into the new one.
  ::unlink((file + "-journal").c_str());
  if (auto placed = copy.put_in_place(true); !placed) return placed;
  for (const char* suffix : {"-wal", "-shm"}) ::unlink((file + suffix).c_str());
  if (auto synced = sync_folder(folder); !synced) return synced;
  // Inode numbers are used again: a log that is made later is not the old one.
  return write_claim_record(
      folder, {.pid = ::getpid(), .database = identify(file).value_or(FileIdentity{})});
}

}  // namespace sc::store
