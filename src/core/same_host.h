#pragma once

#include <string_view>

#include "base/authority.h"
#include "core/stream.h"

namespace sc::core {

// Whether both are the same IP address or name, however they are written (see
// base::comparable_host).
inline bool is_same_host(std::string_view one, std::string_view other) {
  return one == other || base::comparable_host(one) == base::comparable_host(other);
}

// Whether both are the same host and port.
inline bool is_same_backend(const Backend& one, const Backend& other) {
  return one.port == other.port && is_same_host(one.host, other.host);
}

}  // namespace sc::core
