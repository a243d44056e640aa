#pragma once

#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace sc::store {

// Makes the folder and what is missing above it (0750), and holds it for this process: the lock
// goes with the descriptor. conflict: another process holds it. A lock of our own, as SQLite's
// would keep readers out.
base::Result<base::Fd> claim_folder(const std::string& folder);

// not_found: the folder has no database of that name, or an empty one. For commands that create
// none: the error names the folder and asks for the setting.
base::Result<void> require_database(const std::string& file);

// Makes the file if it is missing, 0640 whatever the umask; SQLite's -wal and -shm take its mode.
base::Result<void> ensure_file(const std::string& file);

// Can the file, and what SQLite keeps beside it, be written as far as they exist? SQLite itself
// finds out half-way, or opens it read-only without a word. Not while this process has it open by
// SQLite: see ensure_file in folder.cc.
base::Result<void> check_writable(const std::string& file);

}  // namespace sc::store
