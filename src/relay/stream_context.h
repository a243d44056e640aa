#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "core/stream.h"
#include "relay/counters.h"

namespace sc::relay {

// A stream as the workers see it. The spec is replaced as a whole when the backend changes;
// sessions keep theirs.
struct StreamContext {
  std::uint64_t id = 0;  // a port that is removed and created again is another stream
  std::size_t home = 0;  // the worker that accepts its clients
  std::shared_ptr<const core::StreamSpec> spec;
  std::shared_ptr<StreamCounters> counters;
};

}  // namespace sc::relay
