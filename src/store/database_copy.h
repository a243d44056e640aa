#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace SQLite {
class Database;
}

// Copies and checks of the database for the command line, whether a service runs or not. Nothing
// here creates, repairs or migrates a database. One thread at a time.
namespace sc::store {

// The pages that are done, and all pages. Returning false ends the operation.
using OnProgress = std::function<bool(std::uint64_t done, std::uint64_t total)>;

// What a database holds, as far as it can be read.
struct DatabaseSummary {
  std::uint64_t bytes = 0;
  std::int64_t schema_version = 0;
  std::int64_t known_version = 0;  // of this binary
  std::int64_t streams = 0;
  std::int64_t events = 0;
  std::int64_t tokens = 0;
};

// A database that is open for reading, in one transaction that lasts until the object dies. It
// does not see commits of that time. A service's commits do not wait for it.
class DatabaseReader {
 public:
  // Reads the file with its `-wal`. Creates no `-wal` or `-shm` for a file without one.
  // not_found: there is no such file.
  static base::Result<std::unique_ptr<DatabaseReader>> open(const std::string& file);
  // Reads the file alone: the `-wal` next to it is not its own. Nothing else writes to the file.
  static base::Result<std::unique_ptr<DatabaseReader>> open_alone(const std::string& file);
  DatabaseReader(const DatabaseReader&) = delete;
  DatabaseReader& operator=(const DatabaseReader&) = delete;
  ~DatabaseReader();

  // Looks at every page and index, and at references between tables. Empty: all is well.
  // `on_progress` is called with zeros. unavailable: it was ended by `on_progress`.
  base::Result<std::vector<std::string>> find_damage(const OnProgress& on_progress);
  // Why the service would refuse it, by identity and schema alone; nullopt: an older schema is
  // fine, as the service migrates it.
  std::optional<std::string> refusal();
  // Rows that the service would skip, because they are no streams. Empty for an older schema.
  std::vector<std::string> unreadable_rows();
  base::Result<DatabaseSummary> summary();

  SQLite::Database& connection() { return *connection_; }
  const std::string& uri() const { return uri_; }  // what SQLite has opened
  const std::string& file() const { return file_; }

 private:
  DatabaseReader(std::string file, std::string uri, std::unique_ptr<SQLite::Database> connection);
  static base::Result<std::unique_ptr<DatabaseReader>> open_as(const std::string& file,
                                                               bool is_alone);

  std::string file_;
  std::string uri_;
  std::unique_ptr<SQLite::Database> connection_;
};

// A complete copy that is not yet at its place: `FILE.partial`, removed with the object. The copy
// is one file that needs no `-wal` and can be read from a read-only medium.
class PartialCopy {
 public:
  // conflict: another process is writing it.
  static base::Result<PartialCopy> start(const std::string& file);
  PartialCopy(PartialCopy&& other) noexcept;
  PartialCopy& operator=(PartialCopy&&) = delete;
  ~PartialCopy();

  // Copies page by page what the reader sees, and checks the result. unavailable: it was ended by
  // `on_progress`, or the disk is full.
  base::Result<void> fill(DatabaseReader& from, const OnProgress& on_progress);
  // Renames it to FILE, durably. in_use: FILE is there, and `replace` is false.
  base::Result<void> put_in_place(bool replace);

 private:
  PartialCopy(std::string file, base::Fd fd) : file_(std::move(file)), fd_(std::move(fd)) {}

  std::string partial() const { return file_ + ".partial"; }

  std::string file_;
  base::Fd fd_;  // has the flock
};

}  // namespace sc::store
