#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "store/database_copy.h"

// A database file that takes the place of another one. SQLite finds its `-wal` and `-shm` by name
// alone. So a `-wal` that stays behind would be applied to the wrong file and damage it.
namespace sc::store {

// Is the file's `-wal`, which may be empty, that of another database by the record of the folder's
// last user?
bool has_foreign_log(const std::string& file);

// Returns a sentence if such a `-wal` has content, as after an interrupted restore. nullopt: it is
// empty, or the file's own.
std::optional<std::string> find_foreign_log(const std::string& file);

// Renames such a `-wal` to `-wal.former`, where SQLite does not find it. Removes an empty one, as
// programs that have the former database open may still write to it. Returns what was renamed, for
// the log; nullopt: nothing was. Called by the holder of the folder before SQLite opens the file.
base::Result<std::optional<std::string>> set_foreign_log_aside(const std::string& file);

// Replaces the database, its `-wal` and its `-shm` by the copy, as one. After a crash at any moment
// either the old database is there with its log, or the new one, to which no log is applied. No
// process has the database open, and this one has claimed the folder.
base::Result<void> replace_database(const std::string& file, PartialCopy copy);

}  // namespace sc::store
