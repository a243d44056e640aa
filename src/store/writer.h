#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/callback.h"
#include "base/clock.h"
#include "base/result.h"
#include "core/stream_store.h"
#include "store/commit_stats.h"
#include "store/database.h"
#include "store/folder.h"
#include "store/job_thread.h"

namespace sc::store {

class Reader;

// The thread that writes. Commits that wait while one runs go together into the next transaction
// (group commit). If the database cannot be written (a full or read-only disk at the start), it
// refuses commits, keeps the writes of record(), and tries to open the file from time to time.
class Writer {
 public:
  using Writes = std::vector<core::StoreWrite>;
  using OnCommitted = core::StreamStore::OnCommitted;

  struct Options {
    std::string file;
    std::chrono::milliseconds patience;  // for a lock of another program, from asking on
    // On the writer's thread. Something was written. Something is wrong, or not any more. The file
    // could be opened after all, so it may hold other streams than those that run.
    std::function<void()> on_recorded;
    std::function<void(std::optional<base::Error>)> on_trouble;
    std::function<void(bool is_another)> on_opened;
    std::function<void(bool is_long)> on_long_log;  // because a reader holds it, or no longer
    // Of the opened database: the damage that its check has found, or nullopt when it was opened.
    // On the writer's thread or on that of the check.
    std::function<void(std::optional<base::Error>)> on_damage;
  };

  // `database` is null if the file cannot be written now; `trouble` says why. `claim` holds the
  // folder for this process. Throws std::system_error if the host refuses the thread.
  Writer(Options options, FolderClaim claim, std::unique_ptr<Database> database,
         std::optional<base::Error> trouble, Reader& reader);
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
  // Carries out what was asked for.
  ~Writer();

  // A commit that was asked for.
  class Ticket {
   public:
    // Leaves the commit out, if nothing of it was passed to SQLite. Any thread.
    bool withdraw();
    bool is_withdrawn() const { return state_ == State::withdrawn; }
    bool take();  // the writer's thread; false: it was withdrawn

   private:
    enum class State : unsigned char { waiting, taken, withdrawn };
    std::atomic<State> state_{State::waiting};
  };

  // The answer comes on the writer's thread.
  std::shared_ptr<Ticket> commit(Writes writes, OnCommitted answer);
  // For facts: what has happened already. What the disk does not take now is kept in memory and
  // written later, before any commit that comes later.
  void record(Writes writes);
  // A job in its turn. null: no database is open for writing.
  void run(base::Callback<void(Database*)> job) { ask_job(std::move(job), false); }
  // For work that can be done later as well: gives way to the next job, and after a second at most,
  // while another program holds a lock.
  void run_yielding(base::Callback<void(Database*)> job) { ask_job(std::move(job), true); }

  // Background work: `step` is called while no job waits and a database is open, for the first time
  // after `delay`. It returns the time until the next call; 0: as soon as no job waits. A step
  // should take a few milliseconds at most, as commits wait for it.
  void add_step(base::Callback<std::chrono::milliseconds(Database&)> step,
                std::chrono::milliseconds delay);

  // Opens the database that is there now, if it is not the opened one any more. Refuses a file that
  // is damaged, of another program, newer or gone: then the opened one stays. The answer, whether
  // another file was opened, comes on the writer's thread.
  void reopen(base::Callback<void(base::Result<bool>)> answer);

  // Closes the database after what was asked for, see JobThread::finish().
  bool finish(std::chrono::milliseconds limit);

  // What was asked for and is not done yet. Any thread.
  std::size_t queued() const { return queued_.load(std::memory_order_relaxed); }
  const CommitStats& commits() const { return commits_; }
  // Does a job wait for a lock of another program? Any thread.
  bool is_locked() const { return is_locked_.load(std::memory_order_relaxed); }
  // Any thread.
  const LogStats& log() const { return log_stats_; }
  JobThread& thread() { return thread_; }
  const JobThread& thread() const { return thread_; }

 private:
  struct Commit {
    Writes writes;
    OnCommitted answer;  // empty for record()
    base::Instant due;   // the end of its patience
    std::shared_ptr<Ticket> ticket;
  };
  // Commits between which nothing else was asked for.
  struct Group {
    std::vector<Commit> commits;
  };

  void ask_commit(Commit commit);
  void ask_job(base::Callback<void(Database*)> job, bool yields);
  std::function<bool()> wait_for_lock(std::chrono::milliseconds most, bool yields);
  void serve(std::vector<Commit> commits);
  // Tries one transaction. Returns the commits that should be tried again.
  std::vector<Commit> try_commit(std::vector<Commit> commits);
  void settle(Commit& commit, base::Result<void> result);
  std::vector<Writes> take_backlog();
  void settle_backlog(std::span<Writes> facts, std::span<const base::Result<void>> results);
  void keep(Writes writes);
  void note(std::optional<base::Error> trouble);
  std::chrono::milliseconds recover();
  std::chrono::milliseconds look_at_files();
  base::Result<void> prepare_to_close();
  base::Result<void> set_former_log_aside();
  base::Result<void> open();
  void follow_check();
  void close();
  bool drop_lost_claim();
  base::Result<void> check_present();

  const Options options_;
  Reader& reader_;
  CommitStats commits_;
  LogStats log_stats_;
  std::atomic<std::size_t> queued_{0};
  std::atomic<bool> is_locked_{false};

  std::mutex mutex_;                   // guards open_group_
  std::shared_ptr<Group> open_group_;  // that takes more commits

  // The writer's thread only.
  FolderClaim claim_;
  std::unique_ptr<Database> database_;
  bool had_database_ = false;  // then an empty one is never made in its place
  std::string checked_;        // the content that check_present() has found whole
  bool has_long_log_ = false;
  std::optional<base::Error> trouble_;
  std::vector<Writes> backlog_;
  std::size_t backlog_size_ = 0;
  std::chrono::milliseconds back_off_;
  JobThread::StepId recovery_ = 0;
  JobThread::StepId file_look_ = 0;

  JobThread thread_{"store"};  // last: it uses all of the above
};

}  // namespace sc::store
