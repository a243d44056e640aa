#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/data_plane.h"
#include "core/stream.h"

namespace sc::core {

// The ports of streams that forward to one another, the first port again at the end.
using Ring = std::vector<std::uint16_t>;

// `9000 -> 9001 -> 9000`.
std::string to_string(const Ring& ring);

// The spec of the stream at a port; nullptr: there is none.
using FindSpec = std::function<const StreamSpec*(std::uint16_t port)>;

// Returns the ring that a stream of this spec closes with the streams that `find` returns. Empty:
// none. Only enabled streams and backends that are IP addresses or `localhost` count: what another
// name resolves to is known when a session dials.
Ring ring_of(const StreamSpec& spec, const FindSpec& find, const DataPlane& plane);

// Returns each ring of these streams once.
std::vector<Ring> rings_of(const StreamMap& streams, const DataPlane& plane);

}  // namespace sc::core
