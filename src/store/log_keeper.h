#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <thread>

#include "store/file_watch.h"

struct sqlite3;

namespace sc::store {

// What /metrics reports of the write-ahead log. Any thread.
struct LogStats {
  std::atomic<std::uint64_t> bytes{0};          // of the file on disk
  std::atomic<std::uint64_t> waiting_bytes{0};  // committed, not yet in the database file
  std::atomic<std::uint64_t> checkpoints{0};    // those that copied something
  std::atomic<std::uint64_t> failed_checkpoints{0};
};

// Moves committed changes from the log to the database file, about once a second, and sooner when
// much was committed. So a copy of that file alone is nearly complete, and the log stays short.
// Never runs in a commit and never waits for a reader: a reader's transaction keeps later commits
// in the log. Empties the log while nothing is committed, so that it cannot be applied to another
// file. The writer's thread.
class LogKeeper {
 public:
  // A log of this size is reported: a reader has not let it begin again.
  static constexpr std::uint64_t kLong = 64ULL * 1024 * 1024;
  static constexpr std::uint32_t kMuch = 1000;  // frames, as SQLite's own checkpoints

  // Opens a second connection to the same file, for copies on a thread of its own. Both arguments
  // outlive this.
  LogKeeper(sqlite3* connection, FileWatch& watch);
  LogKeeper(const LogKeeper&) = delete;
  LogKeeper& operator=(const LogKeeper&) = delete;
  // Interrupts the copy that runs on a thread of its own.
  ~LogKeeper();

  // Copies the log if there is something to copy; commits wait for it. A long log is copied on a
  // thread of its own, which counts in `stats` too: they outlive this.
  void step(LogStats& stats);
  bool is_long() const { return is_long_; }
  // Has the log grown by kMuch since the last step? So it begins again before it is long, and
  // commits overwrite what is there, which costs the disk less than a file that grows.
  bool has_much() const;

 private:
  void note(LogStats& stats);
  void copy(LogStats& stats);
  void copy_aside(LogStats& stats);
  void empty();
  bool open_aside();

  sqlite3* connection_;
  FileWatch& watch_;
  std::uint32_t last_frames_ = 0;
  std::array<std::uint32_t, 2> last_salt_{};
  bool is_long_ = false;

  // Copies a long log, as after a long transaction of a reader, while commits go on. It is open
  // from the start and stays open. If it were opened for each copy, the number of descriptors would
  // grow with the first one: SQLite keeps the descriptor of a closed connection, as closing it
  // would release the POSIX locks of the other connections. nullptr: it could not be opened.
  sqlite3* aside_ = nullptr;
  std::atomic<bool> runs_aside_{false};
  std::thread thread_;
};

}  // namespace sc::store
