#include "store/sqlite_error.h"

#include <SQLiteCpp/Exception.h>
#include <sqlite3.h>

#include <cerrno>
#include <string>

namespace sc::store {
namespace {

std::string_view in_words(int code, int system_errno) {
  switch (code) {
    case SQLITE_FULL:
      return "the disk is full";
    case SQLITE_IOERR:
      // SQLite takes ENOSPC from write(2) for FULL, from fsync(2) for IOERR.
      if (system_errno == ENOSPC || system_errno == EDQUOT) return "the disk is full";
      return system_errno == EROFS ? "the disk is read-only" : "the disk reports an error";
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return "another program holds a lock on the database";
    case SQLITE_READONLY:
    case SQLITE_PERM:
      return "it is not writable";
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return "the database is damaged";
    case SQLITE_CANTOPEN:
      return "a file cannot be opened";
    case SQLITE_NOMEM:
      return "memory is exhausted";
    case SQLITE_CONSTRAINT:
      return "the database does not accept the row";
    default:
      return {};
  }
}

}  // namespace

base::Error to_error(std::string_view what, const SQLite::Exception& failure, sqlite3* connection) {
  const int code = failure.getErrorCode() & 0xff;  // an extended code has the primary one below
  int system_errno = connection == nullptr ? 0 : sqlite3_system_errno(connection);
  // SQLite does not keep the errno of these two; the second is a -shm that cannot grow.
  if (code == SQLITE_FULL || failure.getExtendedErrorCode() == SQLITE_IOERR_SHMSIZE)
    system_errno = ENOSPC;
  const std::string_view words = in_words(code, system_errno);
  std::string message(what);
  message += ": ";
  if (words.empty()) {
    message += failure.what();
  } else {
    message.append(words).append(" (").append(failure.what()).append(")");
  }
  if ((code == SQLITE_IOERR || code == SQLITE_CANTOPEN || code == SQLITE_FULL) && system_errno != 0)
    message = base::describe_errno(message, system_errno);
  const bool ours = code == SQLITE_CONSTRAINT || code == SQLITE_ERROR || code == SQLITE_MISUSE ||
                    code == SQLITE_RANGE || code == SQLITE_MISMATCH || code == SQLITE_TOOBIG;
  return {ours ? base::Errc::internal : base::Errc::unavailable, std::move(message)};
}

}  // namespace sc::store
