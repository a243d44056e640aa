#pragma once

#include <SQLiteCpp/Column.h>
#include <SQLiteCpp/Statement.h>

#include <string>
#include <string_view>

#include "base/result.h"
#include "core/stream.h"

// What the tables have in common: the use of prepared statements, and how a stream's fields stand
// in columns, alike in `streams` and `stream_events`. Throws SQLite::Exception.
namespace sc::store {

// Ready for the next use however this one ends: a statement that failed must be reset as well.
struct Use {
  explicit Use(SQLite::Statement& used) : statement(used) {}
  Use(const Use&) = delete;
  Use& operator=(const Use&) = delete;
  ~Use() {
    statement.tryReset();
    statement.clearBindings();
  }
  SQLite::Statement& statement;
};

// NULL for an empty text.
void bind_or_null(SQLite::Statement& statement, int place, const std::string& text);

// What a spec is beyond port and backend, in this order.
inline constexpr std::string_view kSpecColumns =
    "listen_address, label, note, owner, enabled, expires_at, max_sessions, connect_timeout,"
    " idle_timeout, durable, lifetime";
inline constexpr int kSpecColumnCount = 11;

// From place `first` on (1 is the first).
void bind_spec(SQLite::Statement& statement, int first, const core::StreamSpec& spec);
// From column `first` on (0 is the first). invalid: somebody wrote it by hand.
base::Result<core::StreamSpec> read_spec(SQLite::Statement& statement, int first,
                                         const std::string& port, const std::string& backend);

// A stream's revision, from `least` to core::kMostRevision whatever the row says.
std::int64_t read_revision(const SQLite::Column& column, std::int64_t least);

}  // namespace sc::store
