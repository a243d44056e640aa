#pragma once

#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace sc::store {

// Makes the folder (0750) if it is missing, and holds it for this process: the lock goes with the
// descriptor. conflict: another process holds it. A lock of our own, as SQLite's would keep readers
// out.
base::Result<base::Fd> claim_folder(const std::string& folder);

// Makes the file if it is missing, 0640 whatever the umask; SQLite's -wal and -shm take its mode.
base::Result<void> ensure_file(const std::string& file);

}  // namespace sc::store
