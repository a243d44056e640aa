#pragma once

#include <string>

#include "base/result.h"
#include "core/stream_store.h"

namespace sc::store {

// Reads the streams of a database and changes nothing, for a command that only shows what it would
// do. not_found: the folder has no database. conflict: another process uses it, or an earlier
// version made it. Then a service or an import has to bring it up to date first. Refuses what
// Database::open refuses.
base::Result<core::StoredStreams> read_stored_streams(const std::string& file);

}  // namespace sc::store
