#include "store/writer.h"

#include <SQLiteCpp/Database.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "base/log.h"
#include "store/database_copy.h"
#include "store/end_mark.h"
#include "store/folder.h"
#include "store/integrity_check.h"
#include "store/reader.h"
#include "store/restoration.h"

namespace sc::store {
namespace {

using std::chrono::milliseconds;
using Steady = std::chrono::steady_clock;

// Between two tries to write while the disk refuses it.
constexpr milliseconds kFirstBackOff{500};
constexpr milliseconds kLongestBackOff{10'000};
constexpr milliseconds kBusyStep{5};
constexpr milliseconds kShortWait{1000};  // for a lock of another program
constexpr milliseconds kNotDue = std::chrono::hours(24);
// Facts that wait in memory; about 300 bytes each.
constexpr std::size_t kMostBacklog = 100'000;

// What the disk or the database refuses, as opposed to what contradicts a row.
bool is_trouble(const base::Result<void>& result) {
  return !result && (result.error().code == base::Errc::unavailable ||
                     result.error().code == base::Errc::replaced ||
                     result.error().code == base::Errc::internal);
}

// Before a commit they are looked at as well. A log that is copied once a second stays short.
constexpr milliseconds kFileLook{1000};

bool may_work_later(const base::Result<void>& result) {
  return !result && (result.error().code == base::Errc::unavailable ||
                     result.error().code == base::Errc::replaced);
}

}  // namespace

bool Writer::Ticket::withdraw() {
  State expected = State::waiting;
  return state_.compare_exchange_strong(expected, State::withdrawn) || expected == State::withdrawn;
}

bool Writer::Ticket::take() {
  State expected = State::waiting;
  return state_.compare_exchange_strong(expected, State::taken);
}

Writer::Writer(Options options, FolderClaim claim, std::unique_ptr<Database> database,
               std::optional<base::Error> trouble, Reader& reader)
    : options_(std::move(options)),
      reader_(reader),
      claim_(std::move(claim)),
      database_(std::move(database)),
      had_database_(database_ != nullptr),
      trouble_(std::move(trouble)),
      back_off_(kFirstBackOff) {
  recovery_ = thread_.add_step([this] { return recover(); }, trouble_ ? back_off_ : kNotDue);
  file_look_ = thread_.add_step([this] { return look_at_files(); }, kFileLook);
  if (database_) follow_check();
}

Writer::~Writer() {
  run([this](Database* /*database*/) { close(); });
}

// The last connection that closes moves the log into the file, and only the writer's can do that.
void Writer::close() {
  reader_.exclusively([] { return true; });
  database_.reset();
}

std::shared_ptr<Writer::Ticket> Writer::commit(Writes writes, OnCommitted answer) {
  auto ticket = std::make_shared<Ticket>();
  ask_commit({std::move(writes), std::move(answer), Steady::now() + options_.patience, ticket});
  return ticket;
}

void Writer::record(Writes writes) {
  if (writes.empty()) return;
  if (queued() >= kMostBacklog) {  // the disk hangs
    base::log::error("a change of state is lost, too many wait for the database");
    return;
  }
  ask_commit(
      {std::move(writes), {}, Steady::now() + options_.patience, std::make_shared<Ticket>()});
}

void Writer::ask_commit(Commit commit) {
  queued_.fetch_add(1, std::memory_order_relaxed);
  const std::lock_guard lock(mutex_);
  if (open_group_) {
    open_group_->commits.push_back(std::move(commit));
    return;
  }
  open_group_ = std::make_shared<Group>();
  open_group_->commits.push_back(std::move(commit));
  thread_.ask([this, group = open_group_] {
    {
      const std::lock_guard served(mutex_);
      if (open_group_ == group) open_group_.reset();
    }
    serve(std::move(group->commits));
  });
}

void Writer::ask_job(base::Callback<void(Database*)> job, bool yields) {
  queued_.fetch_add(1, std::memory_order_relaxed);
  const std::lock_guard lock(mutex_);
  open_group_.reset();
  thread_.ask([this, yields, job = std::move(job)]() mutable {
    if (database_)
      database_->set_gives_up(wait_for_lock(yields ? kShortWait : options_.patience, yields));
    job(database_.get());
    if (database_) database_->set_gives_up({});
    is_locked_ = false;
    queued_.fetch_sub(1, std::memory_order_relaxed);
  });
}

// Is called while another program holds a lock, and returns whether the job gives up.
std::function<bool()> Writer::wait_for_lock(milliseconds most, bool yields) {
  return [this, yields, until = Steady::now() + most] {
    is_locked_ = true;
    return Steady::now() >= until || thread_.must_end() || (yields && thread_.has_waiting());
  };
}

void Writer::add_step(base::Callback<milliseconds(Database&)> step, milliseconds delay) {
  thread_.add_step(
      [this, step = std::move(step), delay]() mutable {
        const bool is_usable = database_ && !database_->look_at_files();
        return is_usable ? step(*database_) : std::max(delay, kFirstBackOff);
      },
      delay);
}

void Writer::reopen(base::Callback<void(base::Result<bool>)> answer) {
  run([this, answer = std::move(answer)](Database* database) mutable {
    if (database != nullptr && !database->look_at_files()) return answer(false);
    if (auto closable = prepare_to_close(); !closable) return answer(closable.error());
    if (auto present = check_present(); !present) return answer(present.error());
    database_.reset();
    if (auto opened = open(); !opened) {
      note(opened.error());
      return answer(opened.error());
    }
    note(std::nullopt);
    answer(true);
  });
}

base::Result<void> Writer::prepare_to_close() {
  if (!database_) return set_former_log_aside();
  if (database_->is_settled()) return database_->prepare_to_close();
  base::Result<void> done{};
  // The query that runs now may be what keeps the log in use.
  reader_.between_queries([&] { done = database_->prepare_to_close(); });
  return done;
}

// After a failed reopen(): the log of the former database would be taken for that of the file.
base::Result<void> Writer::set_former_log_aside() {
  base::Result<void> done{};
  if (!had_database_) return done;
  reader_.exclusively([&] {
    if (auto aside = set_foreign_log_aside(options_.file); !aside) done = aside.error();
    return false;
  });
  return done;
}

// Once a second, and more often while the files are not those that were opened.
milliseconds Writer::look_at_files() {
  if (!database_) return kFileLook;
  // Another service cannot start meanwhile, as the folder itself is locked too.
  if (claim_.file && is_folder_in_place(claim_, folder_of(options_.file)) && drop_lost_claim())
    if (auto claimed = complete_claim(claim_, folder_of(options_.file)); !claimed)
      base::log::warning("the lock file is gone and cannot be made again",
                         {{"reason", claimed.error().message}});
  if (auto fault = database_->look_at_files()) {
    note(std::move(fault));
    return kFileLook / 4;
  }
  if (trouble_ && trouble_->code == base::Errc::replaced) note(std::nullopt);
  const bool is_long = !database_->keep_log_short(log_stats_);
  if (is_long != has_long_log_) options_.on_long_log(has_long_log_ = is_long);
  return kFileLook;
}

// Lets go of what has no name any more. Returns true if the lock file was removed or replaced in
// the folder that is held.
bool Writer::drop_lost_claim() {
  const std::string folder = folder_of(options_.file);
  if (is_in_place(claim_, folder)) return false;
  const bool has_folder = is_folder_in_place(claim_, folder);
  if (has_folder)
    claim_.file.reset();
  else
    claim_ = {};
  return has_folder;
}

// Looks at the file that would be opened while the present one is open still: what is refused
// changes nothing.
base::Result<void> Writer::check_present() {
  if (!had_database_) return {};
  // With the log of the former database at its name, that of the file is empty.
  auto reader = has_foreign_log(options_.file) ? DatabaseReader::open_alone(options_.file)
                                               : DatabaseReader::open(options_.file);
  if (!reader) {
    if (reader.error().code == base::Errc::not_found)
      return base::Error{base::Errc::replaced,
                         "the database " + options_.file +
                             " is gone: put a copy of it there and reload, or restart the service "
                             "to begin with an empty one"};
    return reader.error();
  }
  if (auto why = (*reader)->refusal())
    return base::Error{base::Errc::invalid, "the database " + options_.file + " " + *why};
  const std::string content = name_content(options_.file);
  if (content == checked_) return {};  // and could not be opened for another reason
  IntegrityCheck check(options_.file, (*reader)->uri(), SQLite::OPEN_READONLY | SQLite::OPEN_URI);
  auto done = check.wait_while([this] { return !thread_.must_end(); });
  if (done) checked_ = content;
  return done;
}

bool Writer::finish(milliseconds limit) {
  run([this](Database* /*database*/) { close(); });
  return thread_.finish(limit);
}

void Writer::serve(std::vector<Commit> commits) {
  while (true) {
    commits = try_commit(std::move(commits));
    if (commits.empty()) return;
    std::this_thread::sleep_for(kBusyStep);  // SQLite may report a lock without waiting for it
  }
}

std::vector<Writer::Commit> Writer::try_commit(std::vector<Commit> commits) {
  if (!database_) {
    base::Error closed =
        trouble_.value_or(base::Error{base::Errc::unavailable, "the database is closed"});
    // What is wrong with the file is not the fault of the change.
    if (closed.code != base::Errc::replaced) closed.code = base::Errc::unavailable;
    for (Commit& commit : commits) settle(commit, closed);
    return {};
  }
  std::vector<Writes> batch = take_backlog();
  const std::size_t facts = batch.size();
  for (Commit& commit : commits) batch.push_back(std::move(commit.writes));
  const base::Instant due =
      std::min_element(commits.begin(), commits.end(), [](const Commit& a, const Commit& b) {
        return a.due < b.due;
      })->due;
  database_->set_gives_up([&] {
    is_locked_ = true;
    return Steady::now() >= due || thread_.must_end() ||
           std::all_of(commits.begin(), commits.end(),
                       [](const Commit& commit) { return commit.ticket->is_withdrawn(); });
  });
  const base::Instant began = Steady::now();
  auto results = database_->commit(
      batch, [&](std::size_t i) { return i < facts || commits[i - facts].ticket->take(); });
  database_->set_gives_up({});
  is_locked_ = false;
  commits_.count(Steady::now() - began, std::any_of(results.begin(), results.end(), is_trouble));
  const bool was_locked = database_->was_locked();
  const auto refused = std::find_if(results.begin(), results.end(), may_work_later);
  const std::optional<base::Error> trouble =
      refused == results.end() ? std::nullopt : std::optional(refused->error());
  settle_backlog(std::span(batch).first(facts), std::span(results).first(facts));
  std::vector<Commit> again;
  const bool is_over = thread_.must_end();
  for (std::size_t i = 0; i < commits.size(); ++i) {
    commits[i].writes = std::move(batch[facts + i]);
    if (was_locked && !is_over && Steady::now() < commits[i].due &&
        !commits[i].ticket->is_withdrawn()) {
      again.push_back(std::move(commits[i]));
    } else {
      settle(commits[i], std::move(results[facts + i]));
    }
  }
  note(trouble);
  if (database_->has_much_log()) thread_.set_due(file_look_, milliseconds{0});
  if (std::any_of(results.begin(), results.end(), [](const auto& result) { return bool{result}; }))
    options_.on_recorded();
  return again;
}

void Writer::settle(Commit& commit, base::Result<void> result) {
  queued_.fetch_sub(1, std::memory_order_relaxed);
  if (commit.answer) {
    if (!commit.ticket->is_withdrawn()) commit.answer(std::move(result));
  } else if (may_work_later(result)) {
    keep(std::move(commit.writes));
  } else if (!result) {
    base::log::error("a change of state was not written to the database",
                     {{"reason", result.error().message}});
  }
}

std::vector<Writer::Writes> Writer::take_backlog() {
  backlog_size_ = 0;
  return std::exchange(backlog_, {});
}

void Writer::settle_backlog(std::span<Writes> facts, std::span<const base::Result<void>> results) {
  for (std::size_t i = 0; i < facts.size(); ++i) {
    if (may_work_later(results[i])) {
      keep(std::move(facts[i]));
    } else if (!results[i]) {
      base::log::error("a change of state was not written to the database",
                       {{"reason", results[i].error().message}});
    }
  }
}

void Writer::keep(Writes writes) {
  if (backlog_size_ + writes.size() > kMostBacklog) {
    base::log::error("changes of state are lost, too many wait for the database",
                     {{"waiting", std::to_string(backlog_size_)}});
    return;
  }
  backlog_size_ += writes.size();
  backlog_.push_back(std::move(writes));
}

// Reports each change once.
void Writer::note(std::optional<base::Error> trouble) {
  const bool is_wrong = trouble.has_value();
  if (is_wrong && !trouble_) back_off_ = kFirstBackOff;
  if (is_wrong || !backlog_.empty()) thread_.set_due(recovery_, back_off_);
  if (trouble == trouble_) return;
  trouble_ = std::move(trouble);
  options_.on_trouble(trouble_);
}

// Tries to open the file, or to write to it, while something is wrong.
milliseconds Writer::recover() {
  if (!trouble_ && backlog_.empty()) return kNotDue;
  if (database_ && database_->look_at_files()) return kFileLook;  // a reload opens another one
  const milliseconds next = back_off_ = std::min(back_off_ * 2, kLongestBackOff);
  if (!database_) {
    const bool is_another = had_database_;
    auto done = prepare_to_close();
    if (done) done = check_present();
    if (done) done = open();
    if (!done) {
      note(done.error());
      return next;
    }
    options_.on_opened(is_another);
  }
  database_->set_gives_up(wait_for_lock(kShortWait, true));
  base::Result<void> done = database_->probe();
  if (done && !backlog_.empty()) {
    std::vector<Writes> batch = take_backlog();
    const auto results = database_->commit(batch);
    const auto refused = std::find_if(results.begin(), results.end(), may_work_later);
    if (refused != results.end()) done = *refused;
    settle_backlog(batch, results);
    if (done) options_.on_recorded();
  }
  database_->set_gives_up({});
  is_locked_ = false;
  note(done ? std::nullopt : std::optional(done.error()));
  return next;
}

// SQLite must have the file open nowhere else in this process, see folder.cc.
base::Result<void> Writer::open() {
  base::Result<void> done{};
  reader_.exclusively([this, &done] {
    const std::string folder = folder_of(options_.file);
    if (auto present = require_database(options_.file); !present) {
      // It was there before. An empty one would close all streams.
      const bool is_gone = present.error().code == base::Errc::not_found;
      done = is_gone ? base::Error{base::Errc::replaced,
                                   options_.file +
                                       " is gone: no change is accepted; put a copy of the "
                                       "database there, then reload the service"}
                     : present.error();
      return false;
    }
    if (had_database_) drop_lost_claim();
    done = complete_claim(claim_, folder);
    if (!done) return false;
    auto opened = Database::open_claimed(options_.file);
    if (!opened) {
      done = opened.error();
      return false;
    }
    // Changes that are not written yet belong to streams of the previous database.
    if (had_database_) take_backlog();
    database_ = std::move(*opened);
    had_database_ = true;
    checked_.clear();
    options_.on_damage(std::nullopt);
    follow_check();
    return true;
  });
  return done;
}

void Writer::follow_check() {
  if (const auto& check = database_->check())
    check->on_damage([this](const base::Error& damage) { options_.on_damage(damage); });
}

}  // namespace sc::store
