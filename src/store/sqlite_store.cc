#include "store/sqlite_store.h"

#include <SQLiteCpp/Database.h>
#include <malloc.h>

#include <algorithm>
#include <future>
#include <system_error>
#include <utility>

#include "base/log.h"
#include "store/folder.h"
#include "store/image.h"

namespace sc::store {
namespace {

using std::chrono::milliseconds;

base::Error no_answer(milliseconds patience) {
  return {base::Errc::unavailable,
          "the database did not answer within " +
              std::to_string(std::chrono::duration_cast<std::chrono::seconds>(patience).count()) +
              " s: its disk may hang"};
}

// A job may begin between `now` and the look.
milliseconds age_of_oldest(const JobThread& thread, base::Instant now) {
  const base::Instant since = std::min(thread.busy_since().value_or(now), now);
  return std::chrono::duration_cast<milliseconds>(now - since);
}

struct Files {
  FolderClaim claim;
  std::unique_ptr<Database> database;       // null: the disk cannot be written now
  std::optional<base::Error> trouble;       // why
  std::unique_ptr<SQLite::Database> image;  // what is read then
};

// `unavailable` is what a disk refuses; then the file may still be there to be read.
base::Result<Files> open_files(const std::string& file) {
  Files files;
  const std::string folder = folder_of(file);
  if (auto claim = claim_folder(folder)) {
    files.claim = std::move(*claim);
    auto database = Database::open_claimed(file);
    if (database) {
      files.database = std::move(*database);
      return files;
    }
    files.trouble = database.error();
  } else {
    files.trouble = claim.error();
  }
  if (files.trouble->code != base::Errc::unavailable) return *files.trouble;
  if (!files.claim.folder) {
    auto claim = claim_for_reading(folder);
    if (!claim) return claim.error().code == base::Errc::conflict ? claim.error() : *files.trouble;
    files.claim = std::move(*claim);
  }
  auto image = open_image(file);
  if (!image)
    return base::Error{image.error().code,
                       files.trouble->message + "; and for reading: " + image.error().message};
  files.image = std::move(*image);
  base::log::error("the database cannot be written, it is only read until that works",
                   {{"reason", files.trouble->message}});
  return files;
}

}  // namespace

base::Result<std::unique_ptr<SqliteStore>> SqliteStore::open(const std::string& file, Post post,
                                                             milliseconds patience) {
  auto files = open_files(file);
  if (!files) return files.error();
  try {
    std::unique_ptr<SqliteStore> store(new SqliteStore(std::move(post), patience));
    store->reader_ = std::make_unique<Reader>(file, patience);
    if (files->image) store->reader_->use(std::move(files->image));
    Answers& answers = store->answers_;
    SqliteStore* self = store.get();
    store->writer_ = std::make_unique<Writer>(
        Writer::Options{.file = file,
                        .patience = patience,
                        .on_recorded =
                            [&answers, self] {
                              if (self->is_told_) answers.post([self] { self->on_recorded_(); });
                            },
                        .on_trouble =
                            [&answers, self](std::optional<base::Error> trouble) {
                              answers.post([self, trouble = std::move(trouble)] {
                                self->trouble_ = trouble;
                                if (self->on_trouble_) self->on_trouble_(trouble);
                              });
                            },
                        .on_opened =
                            [&answers, self](bool is_another) {
                              answers.post([self, is_another] {
                                if (self->on_opened_) self->on_opened_(is_another);
                              });
                            },
                        .on_long_log =
                            [&answers, self](bool is_long) {
                              answers.post([self, is_long] {
                                if (self->on_long_log_) self->on_long_log_(is_long);
                              });
                            },
                        .on_damage =
                            [&answers, self](std::optional<base::Error> damage) {
                              answers.post([self, damage = std::move(damage)] {
                                self->damage_ = damage;
                                if (self->on_damage_) self->on_damage_(damage);
                              });
                            }},
        std::move(files->claim), std::move(files->database), files->trouble, *store->reader_);
    store->trouble_ = std::move(files->trouble);
    return store;
  } catch (const std::system_error& failure) {
    return base::Error{
        base::Errc::unavailable,
        base::describe_errno("the host gives no thread for the store", failure.code().value())};
  }
}

// A thread that gives up after the patience knows why, as of a lock of another program, so it has a
// tenth more to say so before the call ends without a reason.
SqliteStore::SqliteStore(Post post, milliseconds patience)
    : answers_(std::move(post), patience + patience / 10) {}

SqliteStore::~SqliteStore() = default;

void SqliteStore::set_on_trouble(
    base::Callback<void(const std::optional<base::Error>&)> on_trouble) {
  on_trouble_ = std::move(on_trouble);
  if (trouble_) on_trouble_(trouble_);
}

void SqliteStore::commit(std::vector<core::StoreWrite> writes, OnCommitted on_done) {
  auto ticket = std::make_shared<std::shared_ptr<Writer::Ticket>>();
  auto answer = answers_.expect<base::Result<void>>(
      std::move(on_done), [this, ticket]() -> std::optional<base::Error> {
        if (*ticket && !(*ticket)->withdraw()) return std::nullopt;
        base::Error error = no_answer(answers_.patience());
        error.message += "; nothing was written";
        return error;
      });
  if (auto admitted = admit_write(); !admitted) return answer(std::move(admitted));
  *ticket = writer_->commit(std::move(writes), std::move(answer));
}

base::Result<void> SqliteStore::admit_write() const {
  const bool hangs = oldest_write(std::chrono::steady_clock::now()) > answers_.patience();
  if (writer_->queued() < (hangs ? kMostWritesOfHungDisk : kMostWrites)) return {};
  return base::Error{
      base::Errc::unavailable,
      "too many changes wait for the database, as its disk may hang; nothing was written"};
}

void SqliteStore::record(std::vector<core::StoreWrite> writes) {
  writer_->record(std::move(writes));
}

template <class T>
void SqliteStore::ask_reader(base::Callback<base::Result<T>(Queries&)> query,
                             base::Callback<void(base::Result<T>)> on_done) {
  auto is_over = std::make_shared<std::atomic<bool>>(false);
  auto answer = answers_.expect<base::Result<T>>(std::move(on_done),
                                                 [this, is_over]() -> std::optional<base::Error> {
                                                   *is_over = true;
                                                   return no_answer(answers_.patience());
                                                 });
  if (reader_->thread().waiting() >= kMostQueries)
    return answer(base::Error{base::Errc::unavailable,
                              "too many queries wait for the database: ask again later"});
  reader_->ask<T>(std::move(query), std::move(answer), std::move(is_over));
}

// The writer reads them, after the commits before. A reload compares them with the running streams,
// so a row whose commit is about to be answered must not be missing.
void SqliteStore::load(OnLoaded on_done) {
  auto answer = answers_.expect<base::Result<core::StoredStreams>>(
      std::move(on_done),
      [this]() -> std::optional<base::Error> { return no_answer(answers_.patience()); });
  writer_->run([this, answer = std::move(answer)](Database* database) mutable {
    if (database != nullptr) return answer(database->load());
    // No commit succeeds meanwhile.
    reader_->ask<core::StoredStreams>([](Queries& queries) { return queries.load(); },
                                      std::move(answer));
  });
}

void SqliteStore::history(const core::HistoryQuery& query, OnHistory on_done) {
  ask_reader<core::HistoryPage>([query](Queries& queries) { return queries.history(query); },
                                std::move(on_done));
}

void SqliteStore::set_on_damage(base::Callback<void(const std::optional<base::Error>&)> on_damage) {
  on_damage_ = std::move(on_damage);
  if (damage_) on_damage_(damage_);
}

void SqliteStore::as_of(base::WallTime time, OnStreams on_done) {
  ask_reader<std::vector<core::Stream>>([time](Queries& queries) { return queries.as_of(time); },
                                        std::move(on_done));
}

void SqliteStore::prune_history(base::WallTime before, std::uint16_t from_port, OnPruned on_done) {
  auto answer = answers_.expect<base::Result<core::PruneStep>>(
      std::move(on_done),
      [this]() -> std::optional<base::Error> { return no_answer(answers_.patience()); });
  writer_->run_yielding(
      [before, from_port, answer = std::move(answer)](Database* database) mutable {
        answer(database != nullptr
                   ? database->prune_history(before, from_port)
                   : base::Error{base::Errc::unavailable, "the database cannot be written now"});
      });
}

void SqliteStore::load_tokens(std::optional<std::int64_t> known, OnTokens on_done) {
  ask_reader<std::optional<core::TokenSnapshot>>(
      [this, known](Queries& queries) { return reader_->load_tokens(queries, known); },
      std::move(on_done));
}

void SqliteStore::note_token_use(const std::string& sha256, base::WallTime at) {
  const auto log = [](const base::Error& why) {
    base::log::warning("the use of a token was not noted", {{"reason", why.message}});
  };
  if (auto admitted = admit_write(); !admitted) return log(admitted.error());
  writer_->run_yielding([sha256, at, log](Database* database) {
    if (database == nullptr) return;
    if (auto noted = database->note_token_use(sha256, at); !noted) log(noted.error());
  });
}

milliseconds SqliteStore::oldest_write(base::Instant now) const {
  return age_of_oldest(writer_->thread(), now);
}

milliseconds SqliteStore::oldest_read(base::Instant now) const {
  return age_of_oldest(reader_->thread(), now);
}

// However long it takes: only the thread knows which database is open.
void SqliteStore::reopen(base::Callback<void(base::Result<bool>)> on_done) {
  writer_->reopen(answers_.expect<base::Result<bool>>(
      std::move(on_done), []() -> std::optional<base::Error> { return std::nullopt; }));
}

void SqliteStore::run(base::Callback<void()> function) {
  writer_->run([function = std::move(function)](Database*) mutable { function(); });
}

void SqliteStore::release_memory() {
  writer_->run([](Database* database) {
    if (database != nullptr) database->release_memory();
    ::malloc_trim(0);
  });
}

base::Result<core::StoredStreams> SqliteStore::load_now() {
  std::promise<base::Result<core::StoredStreams>> answer;
  reader_->ask<core::StoredStreams>(
      [this](Queries& queries) {
        reader_->allow_long();  // a slow disk does not keep the service from starting
        return queries.load();
      },
      [&answer](base::Result<core::StoredStreams> stored) { answer.set_value(std::move(stored)); });
  return answer.get_future().get();
}

base::Result<void> SqliteStore::commit_now(std::vector<core::StoreWrite> writes,
                                           milliseconds limit) {
  auto answer = std::make_shared<std::promise<base::Result<void>>>();
  auto future = answer->get_future();
  writer_->commit(std::move(writes),
                  [answer](base::Result<void> saved) { answer->set_value(std::move(saved)); });
  if (future.wait_for(limit) != std::future_status::ready) return no_answer(limit);
  return future.get();
}

bool SqliteStore::finish(milliseconds limit) {
  const bool has_read = reader_->thread().finish(milliseconds{0});
  return writer_->finish(limit) && has_read;
}

}  // namespace sc::store
