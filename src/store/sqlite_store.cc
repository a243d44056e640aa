#include "store/sqlite_store.h"

#include <malloc.h>
#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <system_error>
#include <utility>

#include "base/blocked_signals.h"
#include "base/clock.h"
#include "base/log.h"
#include "store/database.h"
#include "store/integrity_check.h"

namespace sc::store {
namespace {

// Of the disk or the database; what contradicts a row is whoever's who asked.
bool is_trouble(const base::Result<void>& result) {
  return !result && (result.error().code == base::Errc::unavailable ||
                     result.error().code == base::Errc::internal);
}

}  // namespace

base::Result<std::unique_ptr<SqliteStore>> SqliteStore::open(const std::string& file, Post post) {
  auto database = Database::open(file);
  if (!database) return database.error();
  try {
    return std::unique_ptr<SqliteStore>(new SqliteStore(std::move(*database), std::move(post)));
  } catch (const std::system_error& failure) {
    return base::Error{
        base::Errc::unavailable,
        base::describe_errno("the host gives no thread for the store", failure.code().value())};
  }
}

SqliteStore::SqliteStore(std::unique_ptr<Database> database, Post post)
    : post_(std::move(post)), database_(std::move(database)), check_(database_->check()) {
  const base::BlockedSignals blocked;
  thread_ = std::thread([this] { serve(); });
}

SqliteStore::~SqliteStore() {
  *alive_ = false;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  asked_.notify_one();
  thread_.join();
}

void SqliteStore::commit(std::vector<core::StoreWrite> writes, OnCommitted on_done) {
  ask(Commit{std::move(writes), std::move(on_done)});
}

template <class Answer, class Done>
void SqliteStore::ask_for(Answer answer, Done on_done) {
  run([this, answer = std::move(answer), done = std::move(on_done)]() mutable {
    post_([alive = alive_, held = std::move(done), found = answer()]() mutable {
      if (*alive) held(std::move(found));
    });
  });
}

void SqliteStore::load(OnLoaded on_done) {
  ask_for([this] { return database_->load(); }, std::move(on_done));
}

void SqliteStore::history(const core::HistoryQuery& query, OnHistory on_done) {
  ask_for([this, query] { return database_->history(query); }, std::move(on_done));
}

void SqliteStore::set_on_damage(base::Callback<void(const base::Error&)> on_damage) {
  on_damage_ = std::move(on_damage);
  if (!check_) return;
  check_->on_damage([this, alive = alive_](const base::Error& damage) {
    post_([this, alive, damage] {
      if (*alive && on_damage_) on_damage_(damage);
    });
  });
}

void SqliteStore::as_of(base::WallTime time, OnStreams on_done) {
  ask_for([this, time] { return database_->as_of(time); }, std::move(on_done));
}

void SqliteStore::prune_history(base::WallTime before, std::uint16_t from_port, OnPruned on_done) {
  ask_for([this, before, from_port] { return database_->prune_history(before, from_port); },
          std::move(on_done));
}

void SqliteStore::load_tokens(std::optional<std::int64_t> known, OnTokens on_done) {
  run([this, known, held = std::move(on_done)]() mutable {
    post_(
        [alive = alive_, done = std::move(held), tokens = database_->load_tokens(known)]() mutable {
          if (*alive) done(std::move(tokens));
        });
  });
}

void SqliteStore::note_token_use(const std::string& sha256, base::WallTime at) {
  run([this, sha256, at] {
    if (auto noted = database_->note_token_use(sha256, at); !noted)
      base::log::warning("the use of a token was not noted", {{"reason", noted.error().message}});
  });
}

void SqliteStore::run(base::Callback<void()> function) { ask(Run{std::move(function)}); }

void SqliteStore::ask(Job job) {
  queued_.fetch_add(1, std::memory_order_relaxed);
  {
    const std::lock_guard lock(mutex_);
    jobs_.push_back(std::move(job));
  }
  asked_.notify_one();
}

void SqliteStore::serve() {
  ::pthread_setname_np(::pthread_self(), "store");
  while (true) {
    std::deque<Job> jobs;
    {
      std::unique_lock lock(mutex_);
      asked_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
      if (jobs_.empty()) return;
      jobs.swap(jobs_);
    }
    while (!jobs.empty()) {
      if (std::holds_alternative<Commit>(jobs.front())) {
        serve_commits(jobs);
        continue;
      }
      Job job = std::move(jobs.front());
      jobs.pop_front();
      std::get<Run>(job).function();
      queued_.fetch_sub(1, std::memory_order_relaxed);
    }
  }
}

// All commits at the front, in one transaction.
void SqliteStore::serve_commits(std::deque<Job>& jobs) {
  std::vector<Database::Writes> batch;
  std::vector<OnCommitted> answers;
  while (!jobs.empty() && std::holds_alternative<Commit>(jobs.front())) {
    auto& commit = std::get<Commit>(jobs.front());
    batch.push_back(std::move(commit.writes));
    answers.push_back(std::move(commit.on_done));
    jobs.pop_front();
  }
  const base::Instant began = std::chrono::steady_clock::now();
  auto results = database_->commit(batch);
  commits_.count(std::chrono::steady_clock::now() - began,
                 std::any_of(results.begin(), results.end(), is_trouble));
  queued_.fetch_sub(batch.size(), std::memory_order_relaxed);
  const bool is_recorded =
      std::any_of(results.begin(), results.end(), [](const auto& result) { return bool{result}; });
  post_([this, alive = alive_, answers = std::move(answers), results = std::move(results),
         is_recorded]() mutable {
    // Each may destroy the store.
    for (std::size_t i = 0; i < answers.size() && *alive; ++i) answers[i](std::move(results[i]));
    if (is_recorded && *alive && on_recorded_) on_recorded_();
  });
}

void SqliteStore::release_memory() {
  run([this] {
    database_->release_memory();
    ::malloc_trim(0);
  });
}

base::Result<core::StoredStreams> SqliteStore::load_now() {
  std::promise<base::Result<core::StoredStreams>> answer;
  run([&] { answer.set_value(database_->load()); });
  return answer.get_future().get();
}

base::Result<void> SqliteStore::commit_now(std::vector<core::StoreWrite> writes) {
  std::promise<base::Result<void>> answer;
  run([&] {
    const std::vector<Database::Writes> batch{std::move(writes)};
    answer.set_value(database_->commit(batch).front());
  });
  return answer.get_future().get();
}

}  // namespace sc::store
