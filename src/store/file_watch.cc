#include "store/file_watch.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <string_view>
#include <utility>

namespace sc::store {
namespace {

constexpr std::int64_t kNanoseconds = 1'000'000'000;

const char* suffix_of(FileChange change) {
  switch (change) {
    case FileChange::log_lost:
    case FileChange::log_replaced:
      return "-wal";
    case FileChange::index_lost:
      return "-shm";
    case FileChange::replaced:
    case FileChange::rewritten:
      break;
  }
  return "";
}

const char* words_of(FileChange change, bool is_there) {
  switch (change) {
    case FileChange::replaced:
      return is_there ? " was replaced by another file" : " is gone";
    case FileChange::rewritten:
      return " was overwritten by another program";
    case FileChange::log_lost:
      return " was removed";
    case FileChange::log_replaced:
      return " was replaced or cut";
    case FileChange::index_lost:
      return " was removed or replaced";
  }
  return "";
}

// nullopt: nothing is there. Without a path: of the descriptor itself.
//
// Only the asked facts, as a write is dearer after the file's times were read: since Linux 6.13 it
// then stores a new time (multigrain timestamps), which made a commit after stat(2) of the -wal
// take 1.3 times as long.
std::optional<struct statx> facts(const char* path, unsigned asked, int fd = AT_FDCWD) {
  struct statx found {};
  if (::statx(fd, path, *path == '\0' ? AT_EMPTY_PATH : 0, asked, &found) != 0) return std::nullopt;
  return found;
}

std::uint64_t device_of(const struct statx& found) {
  return ::makedev(found.stx_dev_major, found.stx_dev_minor);
}

constexpr unsigned kContent = STATX_MTIME | STATX_SIZE;

}  // namespace

base::Result<FileWatch::Pinned> FileWatch::pin(const std::string& path) {
  Pinned pinned;
  pinned.path = path;
  pinned.fd.reset(::open(path.c_str(), O_PATH | O_CLOEXEC));
  const auto found = pinned.fd ? facts("", STATX_INO, pinned.fd.get()) : std::nullopt;
  if (!found)
    return base::Error{base::Errc::unavailable,
                       base::describe_errno(path + " cannot be watched", errno)};
  pinned.device = device_of(*found);
  pinned.inode = found->stx_ino;
  return pinned;
}

std::optional<struct statx> FileWatch::find(const Pinned& pinned, const std::string& path,
                                            unsigned asked) {
  auto found = facts(path.c_str(), STATX_INO | asked);
  const bool is_it = found && device_of(*found) == pinned.device && found->stx_ino == pinned.inode;
  return is_it ? found : std::nullopt;
}

base::Result<FileWatch> FileWatch::start(sqlite3* connection, const std::string& file) {
  // SQLite opens the log at the first read.
  sqlite3_exec(connection, "SELECT 1 FROM sqlite_master LIMIT 1", nullptr, nullptr, nullptr);
  const auto index = LogIndex::of(connection);
  if (!index)
    return base::Error{base::Errc::internal, "the database " + file + " has no write-ahead log"};
  FileWatch watch(connection, *index);
  watch.file_ = file;
  // Without symbolic links; -wal and -shm are in the same folder.
  const std::string path = sqlite3_db_filename(connection, "main");
  for (auto [into, suffix] : {std::pair{&watch.database_, ""}, std::pair{&watch.log_, "-wal"},
                              std::pair{&watch.shared_, "-shm"}}) {
    auto pinned = pin(path + suffix);
    if (!pinned) return pinned.error();
    *into = std::move(*pinned);
  }
  // The file at the name is pinned; the connection may have opened a former one.
  int is_moved = 0;
  sqlite3_file_control(connection, "main", SQLITE_FCNTL_HAS_MOVED, &is_moved);
  if (is_moved != 0) {
    sqlite3_db_config(connection, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
    return base::Error{base::Errc::unavailable,
                       "the database " + file + " was replaced while it was opened"};
  }
  watch.take_content();
  watch.known_log_ = watch.index_.read();
  return watch;
}

std::optional<FileChange> FileWatch::look() {
  if (change_ && *change_ != FileChange::replaced) return change_;
  const bool was_changed = change_.has_value();
  change_ = compare();
  if (was_changed && !change_) {
    is_settled_ = false;
    sqlite3_db_config(connection_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, nullptr);
  }
  return change_;
}

std::optional<FileChange> FileWatch::compare() {
  const LogState before = index_.read();
  const auto database = find(database_, database_.path, kContent);
  if (!database) return FileChange::replaced;
  if (file_ != database_.path && !find(database_, file_)) return FileChange::replaced;
  if (is_rewritten(content(*database), before)) return FileChange::rewritten;
  const auto log = find(log_, log_.path, STATX_SIZE);
  if (!log) {
    const auto other = facts(log_.path.c_str(), STATX_SIZE);
    return other && other->stx_size > 0 ? FileChange::log_replaced : FileChange::log_lost;
  }
  const LogState now = index_.read();
  if (!now.is_all_copied() && log->stx_size < now.bytes()) return FileChange::log_replaced;
  if (!find(shared_, shared_.path)) return FileChange::index_lost;
  return std::nullopt;
}

// The header is read by the descriptor that SQLite has: to close another one would release the
// POSIX locks.
FileWatch::Content FileWatch::content(const struct statx& found) const {
  Content out{.changed_at_ns = found.stx_mtime.tv_sec * kNanoseconds + found.stx_mtime.tv_nsec,
              .size = static_cast<std::int64_t>(found.stx_size)};
  sqlite3_file* file = nullptr;
  const bool is_read =
      sqlite3_file_control(connection_, "main", SQLITE_FCNTL_FILE_POINTER, &file) == SQLITE_OK &&
      file != nullptr && file->pMethods != nullptr &&
      file->pMethods->xRead(file, out.header.data(), static_cast<int>(out.header.size()), 0) ==
          SQLITE_OK;
  if (!is_read) out.header = {};
  return out;
}

void FileWatch::take_content() {
  if (const auto found = facts("", kContent, database_.fd.get())) known_ = content(*found);
}

bool FileWatch::Content::has_header() const { return header != decltype(header){}; }

bool FileWatch::Content::is_in_wal_mode() const {
  constexpr std::string_view kMagic{"SQLite format 3\0", 16};
  return std::equal(kMagic.begin(), kMagic.end(), header.begin()) && header[18] == 2 &&
         header[19] == 2;
}

std::optional<std::uint32_t> FileWatch::Content::pages() const {
  const auto number = [this](std::size_t at) {  // big-endian
    std::uint32_t out = 0;
    for (std::size_t i = at; i < at + 4; ++i) out = out << 8U | header[i];
    return out;
  };
  if (!has_header() || number(24) != number(92)) return std::nullopt;
  return number(28);
}

// Could SQLite have written to the database file since the state that is known?
bool FileWatch::may_be_copied(const LogState& log) const {
  if (log.is_being_copied()) return true;
  if (log.salt == known_log_.salt) return log.copied != known_log_.copied;
  // The log has begun again. Before that all of it was copied. That wrote nothing if all was copied
  // already and nothing was committed since.
  return !known_log_.is_all_copied() || log.copied != 0 || log.commits != known_log_.commits;
}

// `before` is the state of the log from before `now` was read. If it is another one afterwards, the
// next look decides.
bool FileWatch::is_rewritten(const Content& now, const LogState& before) {
  if (now.has_header() && !now.is_in_wal_mode()) return true;
  const LogState log = index_.read();
  if (log != before || log.is_being_written) return false;
  // A complete copy sets the size of the database file.
  const bool is_cut = log.pages != 0 && log.is_all_copied() &&
                      now.size < std::int64_t{log.pages} * std::int64_t{log.page_size};
  if (is_cut) return true;
  // And it writes the header that has this size.
  const auto pages = now.pages();
  if (pages && log.pages != 0 && log.is_all_copied() && *pages != log.pages) return true;
  if (log.is_being_copied() && now != known_) return false;
  if (now != known_ && !may_be_copied(log)) return true;
  known_ = now;
  known_log_ = log;
  return false;
}

void FileWatch::note_commit() {
  const LogState log = index_.read();
  if (log.salt == known_log_.salt) return;
  // The log has begun again. If this commit is the only one since, nothing was copied, so that the
  // database file must still be as it is known.
  const bool is_only_one =
      known_log_.is_all_copied() && log.copied == 0 && log.commits == known_log_.commits + 1;
  known_log_ = log;
  if (is_only_one) return;
  take_content();
}

// By the descriptor that SQLite has, as another file may have the name by now.
bool FileWatch::empty_own_log() {
  sqlite3_file* log = nullptr;
  return sqlite3_file_control(connection_, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log) ==
             SQLITE_OK &&
         log != nullptr && log->pMethods != nullptr &&
         log->pMethods->xTruncate(log, 0) == SQLITE_OK;
}

bool FileWatch::settle() {
  if (!change_ || is_settled_) return true;
  // Closing must not do by name what is right for the opened files only.
  sqlite3_db_config(connection_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  const auto checkpoint = [this](int mode) {
    return sqlite3_wal_checkpoint_v2(connection_, "main", mode, nullptr, nullptr) == SQLITE_OK;
  };
  switch (*change_) {
    case FileChange::replaced:
      // The opened file becomes complete wherever it is now. Its log becomes empty: it may still
      // have the name that belongs to the new file.
      is_settled_ = checkpoint(SQLITE_CHECKPOINT_TRUNCATE);
      break;
    case FileChange::rewritten:
      // The log holds changes of the previous content. If they were in the file, it is of no use.
      is_settled_ = index_.read().is_all_copied()
                        ? empty_own_log()
                        : std::rename(log_.path.c_str(), (log_.path + ".former").c_str()) == 0;
      break;
    case FileChange::log_lost:
      // The removed log has what the file lacks.
      is_settled_ = checkpoint(SQLITE_CHECKPOINT_PASSIVE) && index_.read().is_all_copied();
      break;
    case FileChange::log_replaced:
    case FileChange::index_lost:
      is_settled_ = true;
      break;
  }
  return is_settled_;
}

bool FileWatch::has_log_in_place() const { return find(log_, log_.path).has_value(); }

void FileWatch::drop_index() {
  if (change_ == FileChange::replaced && !has_log_in_place() && find(shared_, shared_.path))
    ::unlink(shared_.path.c_str());
}

std::uint64_t FileWatch::log_bytes() const {
  const auto found = facts("", STATX_SIZE, log_.fd.get());
  return found ? found->stx_size : 0;
}

std::string FileWatch::describe() const {
  if (!change_) return {};
  const bool is_there = facts(file_.c_str(), STATX_INO).has_value();
  std::string text = file_;
  text.append(suffix_of(*change_)).append(words_of(*change_, is_there));
  text += " while the service had it open: no change is accepted; ";
  const bool is_gone = *change_ == FileChange::replaced && !is_there;
  text += is_gone ? "put a copy of the database there, then reload the service"
                  : "reload the service, so that it opens the database that is there now";
  return text;
}

}  // namespace sc::store
