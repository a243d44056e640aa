#pragma once

#include <sys/stat.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "store/log_index.h"

struct sqlite3;

namespace sc::store {

// What has happened to the files that a connection has open.
enum class FileChange : unsigned char {
  replaced,      // another file, or none, has the database's name
  rewritten,     // the database's content was written by a program that is not SQLite
  log_lost,      // the -wal was removed
  log_replaced,  // another -wal has its name, or it was cut
  index_lost,    // the -shm was removed or replaced
};

// Notices that the files of an open database were replaced, removed or overwritten. SQLite itself
// goes on with the open files. Commits succeed in a file that has no name any more, and a -wal that
// stayed is applied to a file that it does not belong to.
//
// The opened files are pinned by O_PATH descriptors, so that their inode numbers cannot be used
// again. (Closing such a descriptor does not take SQLite's POSIX locks away.) The time of
// change and the header reveal an overwritten database: SQLite writes to the file only in a
// checkpoint, which shows in the -shm. Not noticed is a plain copy of this database from another
// time with the same header, if it is written during a checkpoint, or with the same size within a
// tick of the file system's clock (4 ms) after one. The connection's thread.
class FileWatch {
 public:
  // Reads once, so that -wal and -shm exist. unavailable: the file was replaced since the
  // connection has opened it.
  static base::Result<FileWatch> start(sqlite3* connection, const std::string& file);

  // Looks now: three calls of statx(2) and one of pread(2), about 5 us. nullopt: the files are as
  // they were opened, and no change was noticed before. A replaced file that is put back counts as
  // unchanged.
  std::optional<FileChange> look();
  // To be called after each commit of this connection, which may begin the log again.
  void note_commit();

  // Keeps the files that are there now whole, also after a kill. Moves the content of the open log
  // to the open database where that is safe. Leaves no log that would be applied to another
  // database. Writes only to files that this connection opened. False: call it again.
  bool settle();

  // After look(). Is nothing of the opened files left that settle() has to keep?
  bool is_settled() const { return !change_ || is_settled_; }
  std::optional<FileChange> change() const { return change_; }
  // Has the opened -wal its name still?
  bool has_log_in_place() const;
  // After the database and its log were replaced: removes the opened -shm from the name that
  // belongs to the new files, which would share it with programs that have the former ones open.
  void drop_index();

  // A sentence for operators: what has happened and what to do.
  std::string describe() const;
  LogState log() const { return index_.read(); }
  std::uint64_t log_bytes() const;  // of the opened -wal, on disk

 private:
  struct Pinned {
    std::string path;
    base::Fd fd;
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
  };
  // Of the database file.
  struct Content {
    std::int64_t changed_at_ns = 0;
    std::int64_t size = 0;
    std::array<unsigned char, 100> header{};  // sqlite.org/fileformat.html section 1.3
    bool operator==(const Content&) const = default;

    // Zeros: it cannot be read.
    bool has_header() const;
    // Does the header belong to a database that is open in WAL mode?
    bool is_in_wal_mode() const;
    // The size that the header has. nullopt: it has none.
    std::optional<std::uint32_t> pages() const;
  };

  FileWatch(sqlite3* connection, LogIndex index) : connection_(connection), index_(index) {}

  static base::Result<Pinned> pin(const std::string& path);
  // What is asked (STATX_ flags) of the pinned file. nullopt: it does not have that name.
  static std::optional<struct statx> find(const Pinned& pinned, const std::string& path,
                                          unsigned asked = 0);
  Content content(const struct statx& found) const;
  void take_content();
  std::optional<FileChange> compare();
  bool may_be_copied(const LogState& log) const;
  bool is_rewritten(const Content& now, const LogState& before);
  bool empty_own_log();

  sqlite3* connection_;
  LogIndex index_;
  std::string file_;  // as the settings name it; `database_` is what SQLite made of it
  Pinned database_;
  Pinned log_;
  Pinned shared_;
  Content known_;
  LogState known_log_;
  std::optional<FileChange> change_;
  bool is_settled_ = false;
};

}  // namespace sc::store
