#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "base/callback.h"
#include "base/result.h"
#include "core/stream_store.h"
#include "core/token_store.h"
#include "store/commit_stats.h"

namespace sc::store {

class Database;
class IntegrityCheck;

// The StreamStore and TokenStore on SQLite, with a thread of its own. Commits that wait while one
// runs go together into the next transaction (group commit), so a thousand of them cost tens of
// fsyncs.
class SqliteStore final : public core::StreamStore, public core::TokenStore {
 public:
  // Has the function run on the control thread, later, in order. Called on the store's thread.
  using Post = std::function<void(base::Callback<void()>)>;

  // On the caller's thread; see Database::open for what is refused.
  static base::Result<std::unique_ptr<SqliteStore>> open(const std::string& file, Post post);
  SqliteStore(const SqliteStore&) = delete;
  SqliteStore& operator=(const SqliteStore&) = delete;
  // Carries out what was asked for. No answer is given any more, not even one that was posted and
  // waits for its turn: they are destroyed uncalled. Post must work until this has returned.
  ~SqliteStore() override;

  void commit(std::vector<core::StoreWrite> writes, OnCommitted on_done) override;
  void load(OnLoaded on_done) override;
  void history(const core::HistoryQuery& query, OnHistory on_done) override;
  void set_on_recorded(base::Callback<void()> on_recorded) override {
    on_recorded_ = std::move(on_recorded);
  }
  // Called if the check of a database that was not closed cleanly finds damage after the start.
  void set_on_damage(base::Callback<void(const base::Error&)> on_damage);
  void as_of(base::WallTime time, OnStreams on_done) override;
  void prune_history(base::WallTime before, std::uint16_t from_port, OnPruned on_done) override;
  void load_tokens(std::optional<std::int64_t> known, OnTokens on_done) override;
  void note_token_use(const std::string& sha256, base::WallTime at) override;

  // On the store's thread, after what was asked for before: to wait for that, or to hold it up in a
  // test.
  void run(base::Callback<void()> function);

  // Gives memory that past work took back to the kernel: SQLite's page cache, and what lies free in
  // the heap. Later, after what was asked for before.
  void release_memory();

  // Waits for the answer: for a start and for the command line. Not from inside run() or a Post.
  base::Result<core::StoredStreams> load_now();
  base::Result<void> commit_now(std::vector<core::StoreWrite> writes);

  // Any thread.
  const CommitStats& commits() const { return commits_; }
  // What was asked for and is not done yet. Any thread.
  std::size_t queued() const { return queued_.load(std::memory_order_relaxed); }

 private:
  struct Commit {
    std::vector<core::StoreWrite> writes;
    OnCommitted on_done;
  };
  struct Run {
    base::Callback<void()> function;
  };
  using Job = std::variant<Commit, Run>;

  SqliteStore(std::unique_ptr<Database> database, Post post);

  void ask(Job job);
  // On the store's thread; the answer goes back.
  template <class Answer, class Done>
  void ask_for(Answer answer, Done on_done);
  void serve();
  void serve_commits(std::deque<Job>& jobs);

  const Post post_;
  // Read by what was posted, changed by the destructor, both on the control thread.
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  base::Callback<void()> on_recorded_;  // the control thread only
  base::Callback<void(const base::Error&)> on_damage_;
  CommitStats commits_;
  std::atomic<std::size_t> queued_{0};

  std::unique_ptr<Database> database_;           // the store's thread only
  const std::shared_ptr<IntegrityCheck> check_;  // null: none is needed

  std::mutex mutex_;  // guards the two below
  std::deque<Job> jobs_;
  bool stopping_ = false;
  std::condition_variable asked_;

  std::thread thread_;  // last: it uses all of the above
};

}  // namespace sc::store
