#pragma once

#include <array>
#include <cstdint>
#include <optional>

struct sqlite3;

namespace sc::store {

// The state of the write-ahead log. All processes that have the database open share it in the first
// page of its `-shm` (sqlite.org/walformat.html section 2.2).
struct LogState {
  std::uint32_t page_size = 0;
  std::uint32_t commits = 0;            // of all connections; 0 after the recovery of a log
  std::uint32_t frames = 0;             // in the log, committed
  std::uint32_t copied = 0;             // of them, in the database file
  std::uint32_t to_be_copied = 0;       // more than `copied` while a checkpoint runs or has failed
  std::uint32_t pages = 0;              // of the database after the last commit; 0: not known
  std::array<std::uint32_t, 2> salt{};  // changes each time the log begins again
  bool is_being_written = false;        // a commit changes this state now: it may be inconsistent
  bool operator==(const LogState&) const = default;

  bool is_being_copied() const { return to_be_copied > copied; }
  bool is_all_copied() const { return copied >= frames && !is_being_copied(); }
  // The least size of a log with these frames.
  std::uint64_t bytes() const;
};

// Reads that state without a system call, from any thread, as long as the connection is open.
class LogIndex {
 public:
  // nullopt: the connection is not in WAL mode.
  static std::optional<LogIndex> of(sqlite3* connection);
  LogState read() const;

 private:
  explicit LogIndex(const volatile std::uint32_t* words) : words_(words) {}

  const volatile std::uint32_t* words_;
};

}  // namespace sc::store
