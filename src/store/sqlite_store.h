#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/callback.h"
#include "base/clock.h"
#include "base/result.h"
#include "core/stream_store.h"
#include "core/token_store.h"
#include "store/answers.h"
#include "store/commit_stats.h"
#include "store/reader.h"
#include "store/writer.h"

namespace sc::store {

// The StreamStore and TokenStore on SQLite, with one thread that writes and one that reads. Control
// thread only, unless a function says otherwise.
class SqliteStore final : public core::StreamStore, public core::TokenStore {
 public:
  // Runs the function on the control thread, later, in order. Called on the store's threads.
  using Post = Answers::Post;

  // The longest wait of a change for a lock of another program, or for the thread that writes; and
  // of a query for its answer.
  static constexpr std::chrono::milliseconds kPatience{5000};
  // More queries, or more writes, are not taken: they would only wait, in memory. Writes while the
  // oldest one has waited for longer than the patience, and at any time.
  static constexpr std::size_t kMostQueries = 1000;
  static constexpr std::size_t kMostWritesOfHungDisk = 4096;
  static constexpr std::size_t kMostWrites = 100'000;

  // On the caller's thread; Database::open says what is refused. A database that can be read
  // but not written now is opened too: see trouble().
  static base::Result<std::unique_ptr<SqliteStore>> open(
      const std::string& file, Post post, std::chrono::milliseconds patience = kPatience);
  SqliteStore(const SqliteStore&) = delete;
  SqliteStore& operator=(const SqliteStore&) = delete;
  // Carries out what was asked for. No answer is given any more, not even one that was posted and
  // waits for its turn: they are destroyed uncalled. Post must work until this has returned.
  ~SqliteStore() override;

  // How calls that wait too long get their error; without it they wait for the threads.
  void set_later(Answers::Later later) { answers_.set_later(std::move(later)); }

  void commit(std::vector<core::StoreWrite> writes, OnCommitted on_done) override;
  void record(std::vector<core::StoreWrite> writes) override;
  void load(OnLoaded on_done) override;
  void history(const core::HistoryQuery& query, OnHistory on_done) override;
  void set_on_recorded(base::Callback<void()> on_recorded) override {
    on_recorded_ = std::move(on_recorded);
    is_told_ = true;
  }
  // Called with the damage that the check of the opened database finds, and with nullopt when
  // another database was opened. Damage that is known when this is called is reported at once.
  void set_on_damage(base::Callback<void(const std::optional<base::Error>&)> on_damage);
  void as_of(base::WallTime time, OnStreams on_done) override;
  void prune_history(base::WallTime before, std::uint16_t from_port, OnPruned on_done) override;
  void load_tokens(std::optional<std::int64_t> known, OnTokens on_done) override;
  void note_token_use(const std::string& sha256, base::WallTime at) override;

  // Called with what keeps changes from being written, and with nullopt once they are written
  // again. What is wrong already when this is called is reported at once.
  void set_on_trouble(base::Callback<void(const std::optional<base::Error>&)> on_trouble);
  // Called when a file that could not be opened for writing has been opened after all: it may hold
  // other streams than those that run. `is_another`: a file that took the
  // place of one that was open.
  void set_on_opened(base::Callback<void(bool is_another)> on_opened) {
    on_opened_ = std::move(on_opened);
  }
  // Called when the write-ahead log has grown long because a reader holds it, and when no longer.
  void set_on_long_log(base::Callback<void(bool)> on_long_log) {
    on_long_log_ = std::move(on_long_log);
  }
  // The age at `now` of the oldest job that is not done: of the thread that writes, of the one that
  // reads, of both. 0: the thread is idle. Any thread.
  std::chrono::milliseconds oldest_write(base::Instant now) const;
  std::chrono::milliseconds oldest_read(base::Instant now) const;
  std::chrono::milliseconds oldest_job(base::Instant now) const {
    return std::max(oldest_write(now), oldest_read(now));
  }
  // Does the writer wait for a lock of another program? Any thread.
  bool is_locked() const { return writer_->is_locked(); }

  // Has both threads open the database that is there now, if it is not the opened one any more, see
  // Writer::reopen(). Answers whether another one was opened.
  void reopen(base::Callback<void(base::Result<bool>)> on_done);
  // Background work of the writer's thread, see Writer::add_step. Any thread.
  void add_step(base::Callback<std::chrono::milliseconds(Database&)> step,
                std::chrono::milliseconds delay) {
    writer_->add_step(std::move(step), delay);
  }

  // On the writer's thread, after what was asked for before: to wait for that, or to hold it up in
  // a test.
  void run(base::Callback<void()> function);
  // The same on the reader's thread.
  void run_at_reader(base::Callback<void()> function) {
    reader_->thread().ask(std::move(function));
  }

  // Both threads, to be probed.
  std::vector<JobThread*> threads() { return {&writer_->thread(), &reader_->thread()}; }

  // Gives memory that past work took back to the kernel: SQLite's page cache, and what lies free in
  // the heap. Later, after what was asked for before.
  void release_memory();

  // Wait for the answer: for a start, an end and the command line. Not from inside run() or a Post.
  base::Result<core::StoredStreams> load_now();
  // unavailable: the outcome is not known within the limit.
  base::Result<void> commit_now(std::vector<core::StoreWrite> writes,
                                std::chrono::milliseconds limit = 2 * kPatience);

  // Ends both threads after what was asked for, within the limit. Returns false if one of them
  // hangs: then the process has to end without destroying this.
  bool finish(std::chrono::milliseconds limit);

  // Any thread.
  const CommitStats& commits() const { return writer_->commits(); }
  const LogStats& log() const { return writer_->log(); }
  // Writes that were asked for and are not done yet. Any thread.
  std::size_t queued() const { return writer_->queued(); }

 private:
  SqliteStore(Post post, std::chrono::milliseconds patience);

  // unavailable: too many wait.
  base::Result<void> admit_write() const;
  template <class T>
  void ask_reader(base::Callback<base::Result<T>(Queries&)> query,
                  base::Callback<void(base::Result<T>)> on_done);

  Answers answers_;
  base::Callback<void()> on_recorded_;
  std::atomic<bool> is_told_{false};  // on_recorded_ is set
  base::Callback<void(const std::optional<base::Error>&)> on_trouble_;
  base::Callback<void(bool)> on_opened_;
  base::Callback<void(bool)> on_long_log_;
  std::optional<base::Error> trouble_;

  std::optional<base::Error> damage_;
  base::Callback<void(const std::optional<base::Error>&)> on_damage_;

  std::unique_ptr<Reader> reader_;
  std::unique_ptr<Writer> writer_;  // last: its thread uses the reader
};

}  // namespace sc::store
