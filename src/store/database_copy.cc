#include "store/database_copy.h"

#include <SQLiteCpp/Backup.h>
#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Statement.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "store/folder.h"
#include "store/migrations.h"
#include "store/sqlite_error.h"
#include "store/sqlite_uri.h"
#include "store/stream_table.h"

namespace sc::store {
namespace {

constexpr int kBusyMillis = 5000;
constexpr int kPagesPerStep = 1024;            // 4 MiB, so that progress is shown often enough
constexpr int kInstructionsPerLook = 100'000;  // of SQLite's machine: some milliseconds
constexpr mode_t kCopyMode = 0640;
// Bytes 18 and 19 of a database: 1 for a rollback journal, 2 for a write-ahead log
// (sqlite.org/fileformat.html section 1.3.3).
constexpr off_t kVersionsAt = 18;
constexpr std::array<char, 2> kRollbackVersions{1, 1};

base::Error failed(const std::string& what, int number) {
  return {base::Errc::unavailable, base::describe_errno(what, number)};
}

base::Error ended() { return {base::Errc::unavailable, "ended before it was complete"}; }

std::int64_t ask_number(SQLite::Database& connection, const std::string& sql) {
  return connection.execAndGet(sql).getInt64();
}

// Calls on_progress while one statement of the connection runs.
class Interruption {
 public:
  Interruption(SQLite::Database& connection, const OnProgress& on_progress)
      : connection_(connection), on_progress_(on_progress) {
    sqlite3_progress_handler(
        connection_.getHandle(), kInstructionsPerLook,
        [](void* held) { return (*static_cast<const OnProgress*>(held))(0, 0) ? 0 : 1; },
        const_cast<OnProgress*>(&on_progress_));  // NOLINT: SQLite's argument is untyped
  }
  Interruption(const Interruption&) = delete;
  Interruption& operator=(const Interruption&) = delete;
  ~Interruption() { sqlite3_progress_handler(connection_.getHandle(), 0, nullptr, nullptr); }

 private:
  SQLite::Database& connection_;
  const OnProgress& on_progress_;
};

void add_faults_of_pages(SQLite::Database& connection, std::vector<std::string>& findings) {
  SQLite::Statement rows(connection, "PRAGMA integrity_check");
  while (rows.executeStep()) {
    const std::string row = rows.getColumn(0).getString();
    if (row != "ok") findings.push_back(row);
  }
}

void add_faults_of_references(SQLite::Database& connection, std::vector<std::string>& findings) {
  SQLite::Statement rows(connection, "PRAGMA foreign_key_check");
  while (rows.executeStep())
    findings.push_back("table " + rows.getColumn(0).getString() + ", row " +
                       rows.getColumn(1).getString() + ": refers to a row of " +
                       rows.getColumn(2).getString() + " that does not exist");
}

}  // namespace

base::Result<std::unique_ptr<DatabaseReader>> DatabaseReader::open(const std::string& file) {
  return open_as(file, false);
}

base::Result<std::unique_ptr<DatabaseReader>> DatabaseReader::open_alone(const std::string& file) {
  return open_as(file, true);
}

base::Result<std::unique_ptr<DatabaseReader>> DatabaseReader::open_as(const std::string& file,
                                                                      bool is_alone) {
  struct stat found {};
  if (::stat(file.c_str(), &found) != 0) {
    const bool is_missing = errno == ENOENT || errno == ENOTDIR;
    return base::Error{is_missing ? base::Errc::not_found : base::Errc::unavailable,
                       base::describe_errno("there is no database " + file, errno)};
  }
  if (!S_ISREG(found.st_mode))
    return base::Error{base::Errc::invalid, file + " is not a regular file"};
  if (found.st_size == 0) return base::Error{base::Errc::invalid, file + " is empty"};
  // Without a -wal no connection has it open in WAL mode, so nothing changes it. `immutable` then
  // needs no write access to the folder, and leaves no -wal and -shm there.
  std::error_code failure;
  const bool has_log = !is_alone && std::filesystem::exists(file + "-wal", failure);
  const bool is_unfinished = std::filesystem::exists(file + "-journal", failure) &&
                             std::filesystem::file_size(file + "-journal", failure) > 0;
  if (is_unfinished)
    return base::Error{base::Errc::invalid, "the database " + file +
                                                " has an unfinished transaction (" + file +
                                                "-journal); open it with sqlite3 once"};
  try {
    std::string uri = to_uri(file) + (has_log ? "?mode=ro" : "?mode=ro&immutable=1");
    auto connection = std::make_unique<SQLite::Database>(
        uri, SQLite::OPEN_READONLY | SQLite::OPEN_URI, kBusyMillis);
    connection->exec("BEGIN");
    connection->execAndGet("SELECT count(*) FROM sqlite_master");
    return std::unique_ptr<DatabaseReader>(
        new DatabaseReader(file, std::move(uri), std::move(connection)));
  } catch (const SQLite::Exception& failure_of_open) {
    return to_error("the database " + file + " cannot be read", failure_of_open);
  }
}

DatabaseReader::DatabaseReader(std::string file, std::string uri,
                               std::unique_ptr<SQLite::Database> connection)
    : file_(std::move(file)), uri_(std::move(uri)), connection_(std::move(connection)) {}

DatabaseReader::~DatabaseReader() = default;

std::optional<std::string> DatabaseReader::refusal() try {
  const std::int64_t application = ask_number(*connection_, "PRAGMA application_id");
  if (application != kApplicationId)
    return "belongs to another program (its application_id is " + std::to_string(application) + ")";
  const auto fits =
      check_applied(read_applied(*connection_), ask_number(*connection_, "PRAGMA user_version"),
                    embedded_migrations());
  if (!fits) return fits.error().message;
  return std::nullopt;
} catch (const SQLite::Exception& failure) {
  return to_error("cannot be read", failure, connection_->getHandle()).message;
}

base::Result<std::vector<std::string>> DatabaseReader::find_damage(const OnProgress& on_progress) {
  std::vector<std::string> findings;
  const Interruption interruption(*connection_, on_progress);
  try {
    add_faults_of_pages(*connection_, findings);
    add_faults_of_references(*connection_, findings);
  } catch (const SQLite::Exception& failure) {
    if ((failure.getErrorCode() & 0xff) == SQLITE_INTERRUPT) return ended();
    findings.push_back(to_error("cannot be read", failure, connection_->getHandle()).message);
  }
  return findings;
}

std::vector<std::string> DatabaseReader::unreadable_rows() try {
  std::vector<std::string> rows;
  const auto known = static_cast<std::int64_t>(embedded_migrations().size());
  if (ask_number(*connection_, "PRAGMA user_version") != known) return rows;
  for (const core::UnreadableRow& row : StreamTable(*connection_).read().unreadable)
    rows.push_back("row of streams that is no stream: " + row.row + ": " + row.why);
  return rows;
} catch (const SQLite::Exception& failure) {
  return {to_error("cannot be read", failure, connection_->getHandle()).message};
}

base::Result<DatabaseSummary> DatabaseReader::summary() try {
  DatabaseSummary out;
  out.bytes = static_cast<std::uint64_t>(ask_number(*connection_, "PRAGMA page_count") *
                                         ask_number(*connection_, "PRAGMA page_size"));
  out.schema_version = ask_number(*connection_, "PRAGMA user_version");
  out.known_version = static_cast<std::int64_t>(embedded_migrations().size());
  const auto count = [this](const std::string& table) {
    const bool is_there = connection_->tableExists(table);
    return is_there ? ask_number(*connection_, "SELECT count(*) FROM " + table) : 0;
  };
  out.streams = count("streams");
  out.events = count("stream_events");
  out.tokens = count("api_tokens");
  return out;
} catch (const SQLite::Exception& failure) {
  return to_error("the database " + file_ + " cannot be read", failure, connection_->getHandle());
}

// The name is claimed by flock(2) on the file that has it. A finished copy has been renamed, so
// what was locked must still be at its name.
base::Result<PartialCopy> PartialCopy::start(const std::string& file) {
  const std::string name = file + ".partial";
  while (true) {
    base::Fd fd(::open(name.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600));
    if (!fd) return failed(name + " cannot be made", errno);
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0)
      return base::Error{base::Errc::conflict, "another process is writing " + name};
    struct stat opened {};
    struct stat named {};
    if (::fstat(fd.get(), &opened) != 0) return failed(name + " cannot be used", errno);
    if (!S_ISREG(opened.st_mode) || opened.st_uid != ::geteuid() || opened.st_nlink > 1)
      return base::Error{base::Errc::forbidden, name + " is there, and is not a copy of ours"};
    if (::stat(name.c_str(), &named) != 0 || named.st_ino != opened.st_ino) continue;
    if (::ftruncate(fd.get(), 0) != 0) return failed(name + " cannot be emptied", errno);
    return PartialCopy(file, std::move(fd));
  }
}

PartialCopy::PartialCopy(PartialCopy&& other) noexcept = default;

PartialCopy::~PartialCopy() {
  if (fd_) ::unlink(partial().c_str());
}

// Inside the reader's transaction the copy sees one state and never begins again, however much is
// committed meanwhile. VACUUM INTO would sort each table and index, for a fraction of the pages
// saved, and say nothing of its progress.
base::Result<void> PartialCopy::fill(DatabaseReader& from, const OnProgress& on_progress) {
  try {
    SQLite::Database to(partial(), SQLite::OPEN_READWRITE);
    // A copy that is not complete is thrown away, so nothing is journalled; fsync(2) comes at the
    // end.
    to.exec("PRAGMA journal_mode = OFF");
    to.exec("PRAGMA synchronous = OFF");
    SQLite::Backup copy(to, from.connection());
    bool is_done = false;
    while (!is_done) {
      is_done = copy.executeStep(kPagesPerStep) == SQLITE_DONE;
      const auto total = static_cast<std::uint64_t>(copy.getTotalPageCount());
      const auto left = static_cast<std::uint64_t>(copy.getRemainingPageCount());
      if (!on_progress(total - left, total)) return ended();
    }
  } catch (const SQLite::Exception& failure) {
    return to_error("the copy " + partial() + " cannot be written", failure);
  }
  if (::pwrite(fd_.get(), kRollbackVersions.data(), kRollbackVersions.size(), kVersionsAt) !=
          static_cast<ssize_t>(kRollbackVersions.size()) ||
      ::fchmod(fd_.get(), kCopyMode) != 0 || ::fsync(fd_.get()) != 0)
    return failed("the copy " + partial() + " cannot be written to disk", errno);
  auto made = DatabaseReader::open(partial());
  if (!made) return made.error();
  auto damage = (*made)->find_damage(on_progress);
  if (!damage) return damage.error();
  if (damage->empty()) return {};
  return base::Error{base::Errc::invalid,
                     "the database " + from.file() + " is damaged: " + damage->front()};
}

base::Result<void> PartialCopy::put_in_place(bool replace) {
  const unsigned flags = replace ? 0U : static_cast<unsigned>(RENAME_NOREPLACE);
  if (::renameat2(AT_FDCWD, partial().c_str(), AT_FDCWD, file_.c_str(), flags) != 0) {
    if (errno == EEXIST) return base::Error{base::Errc::in_use, file_ + " is there already"};
    return failed(file_ + " cannot be put in place", errno);
  }
  fd_.reset();
  return sync_folder(folder_of(file_));
}

}  // namespace sc::store
