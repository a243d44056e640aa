#pragma once

#include <vector>

#include "base/clock.h"
#include "core/event.h"
#include "core/stream_store.h"

namespace sc::core {

// What somebody changed by hand while the service did not run: the events that history lacks to
// tell of the streams as they are stored. By port. Pure. A row that cannot be read is left alone.
std::vector<Event> unrecorded_changes(const StoredStreams& stored, base::WallTime at);

}  // namespace sc::core
