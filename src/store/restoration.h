#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "store/database_copy.h"

// A database file that takes the place of another one. Its `-wal` and `-shm` are matched to it by
// name alone, so a `-wal` that stays behind would be applied to the wrong file and damage it.
namespace sc::store {

// Is the `-wal` beside the file that of another database, as after a restore that was interrupted?
// nullopt: no, as far as the record of the folder's last user says.
std::optional<std::string> find_foreign_log(const std::string& file);

// Renames such a `-wal` to `-wal.former`, where SQLite does not find it. Returns what was done, for
// the log; nullopt: nothing had to be. Called by the holder of the folder before SQLite opens the
// file.
base::Result<std::optional<std::string>> set_foreign_log_aside(const std::string& file);

// Puts the copy at the place of the database, with `-wal` and `-shm`, as one: after a crash at any
// moment either the former database is there with its log, or the new one without a log that is
// applied to it. No process has the database open, and this one has claimed the folder.
base::Result<void> replace_database(const std::string& file, PartialCopy copy);

}  // namespace sc::store
