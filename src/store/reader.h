#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/callback.h"
#include "base/result.h"
#include "core/token_store.h"
#include "store/file_identity.h"
#include "store/job_thread.h"
#include "store/queries.h"

namespace SQLite {
class Database;
}

namespace sc::store {

// The thread that reads, by a connection that cannot write. In WAL mode a reader and the writer do
// not wait for each other, so neither a busy nor a locked writer delays an answer.
class Reader {
 public:
  // A query is interrupted after `patience`. Throws std::system_error if the host refuses the
  // thread.
  Reader(std::string file, std::chrono::milliseconds patience);
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  ~Reader();

  // Set once nothing waits for the answer any more. Any thread.
  using IsOver = std::shared_ptr<const std::atomic<bool>>;

  // Runs the query on the reader's thread and passes its result on. The connection is opened at the
  // first query, and again after a failure. A query that is over by then is not run.
  template <class T>
  void ask(base::Callback<base::Result<T>(Queries&)> query,
           base::Callback<void(base::Result<T>)> answer, IsOver is_over = {}) {
    thread_.ask([this, query = std::move(query), answer = std::move(answer),
                 is_over = std::move(is_over)]() mutable {
      if (is_over && *is_over)
        return answer(base::Error{base::Errc::unavailable, "its answer came too late"});
      answer(run<T>(query));
    });
  }
  // As Queries::load_tokens. The version differs from all those of an earlier connection.
  base::Result<std::optional<core::TokenSnapshot>> load_tokens(
      Queries& queries, std::optional<std::int64_t> known) const;

  // Reads from this connection instead of the file until exclusively() drops it.
  void use(std::unique_ptr<SQLite::Database> image);

  // Runs the function while no query runs, so that no snapshot of this process keeps the log in
  // use. Any thread but the reader's.
  void between_queries(base::Callback<void()> function);

  // Closes the connection to the file, runs the function and lets the next query open it again. For
  // work during which SQLite must not have the file open in this process, see folder.cc. The file
  // that is there afterwards is the one to be read. An image is dropped only if the function
  // returns true. Any thread but the reader's.
  void exclusively(base::Callback<bool()> function);

  // For the query that runs: it is not interrupted after the patience. On the reader's thread.
  void allow_long() { interrupt_at_ = base::Instant::max(); }

  JobThread& thread() { return thread_; }
  const JobThread& thread() const { return thread_; }

 private:
  template <class T>
  base::Result<T> run(base::Callback<base::Result<T>(Queries&)>& query) {
    const std::lock_guard lock(mutex_);
    if (auto opened = ensure_open(); !opened) return opened.error();
    begin();
    auto result = query(*queries_);
    end(result ? std::nullopt : std::optional(result.error().code));
    return result;
  }
  base::Result<void> ensure_open();
  void adopt(std::unique_ptr<SQLite::Database> connection);
  void close();
  void begin();
  void end(std::optional<base::Errc> error);
  static int on_progress(void* self);

  const std::string file_;
  const std::chrono::milliseconds patience_;

  std::mutex mutex_;  // guards the members up to thread_
  std::unique_ptr<SQLite::Database> connection_;
  std::unique_ptr<Queries> queries_;
  bool is_image_ = false;
  std::int64_t connections_ = 0;  // so far
  // Another file at the name is not opened. Its -shm may be that of the writer's database, whose
  // POSIX locks would go when it is closed.
  std::optional<FileIdentity> identity_;
  base::Instant interrupt_at_{};

  JobThread thread_{"store-reader"};  // last: it uses all of the above
};

}  // namespace sc::store
