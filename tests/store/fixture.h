#pragma once

#include <sys/types.h>

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/callback.h"
#include "base/fd.h"
#include "core/stream_store.h"
#include "store/database.h"

struct sqlite3;

namespace sc::test {

// A folder that is gone when the test is over. Others may pass through it, not look into it.
class TempFolder {
 public:
  TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  ~TempFolder();
  const std::filesystem::path& path() const { return path_; }
  std::string operator/(std::string_view name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

// The thread of the test as the control thread: keeps what is posted until the test runs it.
class ControlThread {
 public:
  std::function<void(base::Callback<void()>)> post();
  // Waits for each of `count` posted functions and runs it.
  void run(int count = 1);
  // Runs functions until the condition holds.
  void run_until(const std::function<bool()>& condition);

 private:
  std::mutex mutex_;  // guards queue_
  std::condition_variable more_;
  std::vector<base::Callback<void()>> queue_;
};

std::string read_bytes(const std::string& file);
void write_bytes(const std::string& file, std::string_view bytes);
// Lower twelve bits of st_mode.
unsigned mode_of(const std::string& file);

// How many descriptors of this process have the file open.
std::ptrdiff_t count_open(const std::string& file);

// Runs SQL on a connection of its own and gives the rows as sqlite3 prints them: `a|b|`.
std::vector<std::string> query(const std::string& file, const std::string& sql);
void execute(const std::string& file, const std::string& sql);

// Runs the function in a child process, as uid and gid if they are not 0, and gives what it
// returned. Fork before a thread runs.
std::string in_child(const std::function<std::string()>& function, uid_t uid = 0, gid_t gid = 0);

// A process of another user, made before the database is opened, so that it shares nothing with us,
// that reads when told to.
class ReaderProcess {
 public:
  ReaderProcess(std::string file, uid_t uid, gid_t gid);
  ReaderProcess(const ReaderProcess&) = delete;
  ReaderProcess& operator=(const ReaderProcess&) = delete;
  ~ReaderProcess();
  // The rows, joined by newlines, or `error: ...`.
  std::string ask(const std::string& sql);

 private:
  pid_t pid_ = -1;
  base::Fd socket_;
};

// The connection of the last Database that was opened while this lived. A Database keeps it to
// itself. It opens its LogKeeper's connection last, and its own one before that. One spy at a time;
// the database is opened on the test's thread.
class ConnectionSpy {
 public:
  ConnectionSpy();
  ConnectionSpy(const ConnectionSpy&) = delete;
  ConnectionSpy& operator=(const ConnectionSpy&) = delete;
  ~ConnectionSpy();
  sqlite3* writer() const;
};

// The first column of the first row; of a connection's thread.
std::string ask(sqlite3* connection, const std::string& sql);

// One commit for itself.
base::Result<void> commit(store::Database& database, std::vector<core::StoreWrite> writes);

// 2026-11-01T14:00:00.000Z and so many minutes.
base::WallTime minute(int minutes);
core::Stream stream(std::uint16_t port, const std::string& host, std::uint16_t backend_port = 1);
core::AppendEvent event(int at, core::EventAction action, std::uint16_t port, std::string before,
                        std::string after, std::string actor = "10.0.0.1", std::string detail = "");
// As the conductor does it: the row and its event.
std::vector<core::StoreWrite> created(std::uint16_t port);

}  // namespace sc::test
