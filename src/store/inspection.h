#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"
#include "store/migrations.h"

namespace SQLite {
class Database;
}

namespace sc::store {

class IntegrityCheck;

// Looks at a database before anything is written to it, by a read-only connection: is it whole,
// ours, and one that this binary knows? Answers how many of the migrations it has; 0 for a file
// that is missing or empty. The error names the file and what is wrong with it. Leaves nothing
// beside a database of somebody else. The one thing that is written is what a crash left unfinished
// in the `-journal` of ours: SQLite rolls it back, as for everybody who opens it.
base::Result<std::size_t> inspect(const std::string& file, std::span<const Migration> known);

// As inspect(), but does not read the whole database. For a database that was closed cleanly, or
// that a service uses.
base::Result<std::size_t> inspect_schema(const std::string& file, std::span<const Migration> known);

// The longest wait for the check of a database that is larger than kSmallDatabase bytes.
inline constexpr std::chrono::milliseconds kStartCheck{250};
inline constexpr std::uintmax_t kSmallDatabase = 16 << 20;

// inspect() for a start, which does not wait for a large database: `check` is set, and may go on
// after this has returned. A smaller file is always read whole.
base::Result<std::size_t> inspect_for_start(const std::string& file,
                                            std::span<const Migration> known,
                                            std::shared_ptr<IntegrityCheck>& check,
                                            std::uintmax_t small = kSmallDatabase);

// inspect_schema() of a connection that is open. `file` is named in errors. Throws
// SQLite::Exception.
base::Result<std::size_t> inspect_open(SQLite::Database& connection, const std::string& file,
                                       std::span<const Migration> known);

}  // namespace sc::store
