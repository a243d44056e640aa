#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "store/migrations.h"

namespace SQLite {
class Database;
}

namespace sc::store {

// For a database whose disk cannot be written now. Returns a copy in memory to read instead of the
// file, or null if SQLite can read the file itself. It cannot if the schema is an earlier one, or
// if it would have to create the -shm file. The copy has the committed content of the -wal and the
// present schema, and takes at most a quarter of the host's memory. Fails as inspect() does, and
// with `unavailable` if the file cannot be read, is missing or empty.
base::Result<std::unique_ptr<SQLite::Database>> open_image(
    const std::string& file, std::span<const Migration> known = embedded_migrations());

// Applies the committed frames of a write-ahead log to a database's pages, as a recovery does
// (https://sqlite.org/fileformat.html section 4). Frames from the first wrong salt or checksum on
// are ignored, and so is a log whose header is damaged.
void apply_log(std::string& database, std::string_view log);

}  // namespace sc::store
