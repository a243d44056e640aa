#include "store/queries.h"

#include <SQLiteCpp/Database.h>

#include "store/sqlite_error.h"
#include "store/stream_table.h"
#include "store/token_table.h"

namespace sc::store {

Queries::Queries(SQLite::Database& connection) : connection_(connection) {}

Queries::~Queries() = default;

base::Result<core::StoredStreams> Queries::load() try {
  return streams().read();
} catch (const SQLite::Exception& failure) {
  return to_error("the streams cannot be read", failure, connection_.getHandle());
}

base::Result<core::HistoryPage> Queries::history(const core::HistoryQuery& query) try {
  return streams().events().page(query);
} catch (const SQLite::Exception& failure) {
  return to_error("history cannot be read", failure, connection_.getHandle());
}

// The start of the history is read last: events that were deleted before or meanwhile show in it.
base::Result<std::vector<core::Stream>> Queries::as_of(base::WallTime time) try {
  auto then = streams().events().as_of(time);
  const auto start = streams().events().start().at;
  if (start && time < *start)
    return base::Error{base::Errc::not_found,
                       "the history begins at " + base::to_iso8601(*start) +
                           ": what was mapped before that is not known any more"};
  return then;
} catch (const SQLite::Exception& failure) {
  return to_error("history cannot be read", failure, connection_.getHandle());
}

// data_version changes with what other connections commit, never with what this one does. It is
// read first: what is committed in between is read too, and only makes the next call load again.
base::Result<std::optional<core::TokenSnapshot>> Queries::load_tokens(
    std::optional<std::int64_t> known) try {
  const std::int64_t version = connection_.execAndGet("PRAGMA data_version").getInt64();
  if (version == known) return std::optional<core::TokenSnapshot>();
  return std::optional(core::TokenSnapshot{version, tokens().read()});
} catch (const SQLite::Exception& failure) {
  return to_error("the tokens cannot be read", failure, connection_.getHandle());
}

StreamTable& Queries::streams() {
  if (!streams_) streams_ = std::make_unique<StreamTable>(connection_);
  return *streams_;
}

TokenTable& Queries::tokens() {
  if (!tokens_) tokens_ = std::make_unique<TokenTable>(connection_);
  return *tokens_;
}

}  // namespace sc::store
