#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "store/file_identity.h"

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
// Claims a folder that exists, with everything in it left as it is but for the lock file.
// not_found: it does not exist.
base::Result<FolderClaim> claim_present_folder(const std::string& folder);
// Is the claimed folder still the one at its path, with the claimed lock file in it?
bool is_in_place(const FolderClaim& claim, const std::string& folder);
bool is_folder_in_place(const FolderClaim& claim, const std::string& folder);

// What the lock file says of the process that has the database open, or had it open last. It
// outlives a crash: a `-wal` that is still the recorded one belongs to the recorded database file
// and to no other.
struct ClaimRecord {
  pid_t pid = 0;
  FileIdentity database{};
  FileIdentity log{};
};

// By the process that has claimed the folder. On disk when it returns.
base::Result<void> write_claim_record(const std::string& folder, const ClaimRecord& record);
// nullopt: there is no lock file, or an earlier version wrote it.
std::optional<ClaimRecord> read_claim_record(const std::string& folder);
// Returns the process that holds the folder: it is in the record and has the lock file open. 0:
// that cannot be proved, for example in another namespace of processes.
pid_t find_claimant(const std::string& folder);

// Makes the file if it is missing, 0640 whatever the umask; SQLite's -wal and -shm take its mode.
base::Result<void> ensure_file(const std::string& file);

// Can the file, and what SQLite keeps beside it, be written as far as they exist? SQLite itself
// finds out half-way, or opens it read-only without a word. Not while this process has it open by
// SQLite: see ensure_file in folder.cc.
base::Result<void> check_writable(const std::string& file);

// Makes renames and removals in the folder survive a loss of power.
base::Result<void> sync_folder(const std::string& folder);

}  // namespace sc::store
