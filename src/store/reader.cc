#include "store/reader.h"

#include <SQLiteCpp/Database.h>
#include <sqlite3.h>

#include <utility>

#include "store/sqlite_error.h"

namespace sc::store {
namespace {

// Only the recovery of a log after a crash makes a reader wait.
constexpr int kBusyMillis = 2000;
// Virtual machine instructions between two looks at the time, some tens of microseconds.
constexpr int kProgress = 10'000;
// Versions of one connection differ in the lower bits.
constexpr int kVersionBits = 32;

}  // namespace

Reader::Reader(std::string file, std::chrono::milliseconds patience)
    : file_(std::move(file)), patience_(patience), identity_(identify(file_)) {}

Reader::~Reader() = default;

base::Result<std::optional<core::TokenSnapshot>> Reader::load_tokens(
    Queries& queries, std::optional<std::int64_t> known) const {
  const std::int64_t era = connections_ << kVersionBits;
  const bool is_of_this = known && (*known >> kVersionBits) == connections_;
  auto answer = queries.load_tokens(is_of_this ? std::optional(*known - era) : std::nullopt);
  if (answer && *answer) (*answer)->version += era;
  return answer;
}

void Reader::use(std::unique_ptr<SQLite::Database> image) {
  const std::lock_guard lock(mutex_);
  adopt(std::move(image));
  is_image_ = true;
}

void Reader::exclusively(base::Callback<bool()> function) {
  const std::lock_guard lock(mutex_);
  if (!is_image_) close();
  if (function()) close();
  identity_ = identify(file_);
}

void Reader::between_queries(base::Callback<void()> function) {
  const std::lock_guard lock(mutex_);
  function();
}

base::Result<void> Reader::ensure_open() {
  if (connection_) return {};
  if (identify(file_) != identity_)
    return base::Error{base::Errc::replaced,
                       "the database " + file_ +
                           " was replaced while the service had it open: it is not read until a "
                           "reload has opened the file that is there now"};
  try {
    auto connection = std::make_unique<SQLite::Database>(file_, SQLite::OPEN_READONLY, kBusyMillis);
    connection->exec("PRAGMA query_only = ON");
    adopt(std::move(connection));
    return {};
  } catch (const SQLite::Exception& failure) {
    return to_error("the database " + file_ + " cannot be read", failure);
  }
}

void Reader::adopt(std::unique_ptr<SQLite::Database> connection) {
  close();
  connection_ = std::move(connection);
  queries_ = std::make_unique<Queries>(*connection_);
  ++connections_;
  sqlite3_progress_handler(connection_->getHandle(), kProgress, &Reader::on_progress, this);
}

void Reader::close() {
  queries_.reset();
  connection_.reset();
  is_image_ = false;
}

// One snapshot for all statements of a query, as the writer may commit between them.
void Reader::begin() {
  interrupt_at_ = std::chrono::steady_clock::now() + patience_;
  sqlite3_exec(connection_->getHandle(), "BEGIN", nullptr, nullptr, nullptr);
}

void Reader::end(std::optional<base::Errc> error) {
  sqlite3_exec(connection_->getHandle(), "COMMIT", nullptr, nullptr, nullptr);
  const bool is_broken = error == base::Errc::unavailable || error == base::Errc::internal;
  if (is_broken && !is_image_) close();
}

int Reader::on_progress(void* self) {
  const auto* reader = static_cast<Reader*>(self);
  const bool is_over = std::chrono::steady_clock::now() >= reader->interrupt_at_;
  return is_over || reader->thread_.is_finishing() ? 1 : 0;
}

}  // namespace sc::store
