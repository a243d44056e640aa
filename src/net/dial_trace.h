#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "net/address.h"

namespace sc::net {

// One address of a backend that was dialled, and what came of it. A value.
struct DialTry {
  enum class Result : unsigned char {
    connected,
    failed,     // `error` says why
    denied,     // nobody may be led there
    loop,       // a listener of this service that the connection has passed already
    abandoned,  // the deadline, another address or the dialer's end came first
  };
  PackedAddress address;
  Result result = Result::abandoned;
  int error = 0;  // errno, if it failed
  base::Instant started{};
  std::chrono::microseconds took{0};
};

// How a dial went, step by step. A value.
struct DialTrace {
  static constexpr std::size_t kMost = 8;

  std::optional<base::Instant> resolved_at;  // only where a name was looked up
  bool is_resolving = false;                 // its look-up was not done, or told no address
  std::vector<DialTry> tried;                // in the order of starting, at most kMost
};

}  // namespace sc::net
