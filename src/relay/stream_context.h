#pragma once

#include <sys/socket.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "core/stream.h"
#include "net/resolver/name.h"
#include "relay/counters.h"

namespace sc::relay {

// What a session takes from its stream: the rest of the stream's spec is not the workers' concern,
// and there are thousands of these.
struct SessionSpec {
  std::uint16_t port = 0;
  core::Backend backend;
  std::optional<std::chrono::milliseconds> connect_timeout;  // nothing: as the service is set
  std::optional<std::chrono::milliseconds> idle_timeout;     // likewise; 0: none
  core::Durability durable = core::Durability::established;
  sa_family_t backend_family = AF_UNSPEC;             // of the backend's address; a name has none
  std::int64_t created_at = 0;                        // of the stream, ms since 1970
  std::optional<std::chrono::milliseconds> lifetime;  // as idle_timeout
  std::shared_ptr<net::Name> name;                    // the backend's; null: it is an IP literal
};

// A stream as the workers see it. The spec is replaced as a whole when the stream changes; sessions
// keep theirs.
struct StreamContext {
  std::uint64_t id = 0;  // a port that is removed and created again is another stream
  std::shared_ptr<const SessionSpec> spec;
  std::shared_ptr<StreamCounters> counters;
};

}  // namespace sc::relay
