#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "core/end_reason.h"
#include "net/address.h"

namespace sc::relay {

// How a relay ended. A value.
struct RelayEnd {
  core::EndReason reason = core::EndReason::finished;
  int error = 0;  // errno, where there was one
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  core::SessionPhase phase = core::SessionPhase::relay;
  bool left_empty = false;  // the client left by an end or a reset, and no byte had moved
  std::chrono::milliseconds left_at{0};  // when it left, in the loop's time
  net::PackedAddress local = {};         // of this host, on the side that broke; empty: not asked
  std::string ring = {};                 // of streams, as a sentence; empty: no ring ended it
};

}  // namespace sc::relay
