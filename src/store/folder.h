#pragma once

#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace sc::store {

// The folder that holds the file.
std::string folder_of(const std::string& file);

// A folder held for this process: by locks on the folder itself and on the file
// `stream-conductor.lock` in it, which earlier versions look at alone. They end with the
// descriptors. SQLite's own lock would keep readers out.
struct FolderClaim {
  base::Fd folder;
  base::Fd file;  // empty: it cannot be opened, on a full or read-only disk
};

// Makes the folder and what is missing above it (0750), and claims it. conflict: another process
// has done so.
base::Result<FolderClaim> claim_folder(const std::string& folder);
// Makes a claim of claim_for_reading() a whole one, once the disk can be written.
base::Result<void> complete_claim(FolderClaim& claim, const std::string& folder);
// Claims the folder as far as that is possible without writing to its disk. A folder that does not
// exist gives an empty claim. conflict: another process has claimed it.
base::Result<FolderClaim> claim_for_reading(const std::string& folder);

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
