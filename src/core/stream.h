#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "base/text.h"
#include "core/port_range.h"

namespace sc::core {

// Where a stream leads: a name or IP literal and a port, as parse_host_port takes them.
using Backend = base::HostPort;

// What an operator asks for. A value.
struct StreamSpec {
  std::uint16_t port = 0;  // listens here, 1 to 65535; what names the stream
  Backend backend;
  bool operator==(const StreamSpec&) const = default;
};

enum class StreamState : unsigned char {
  listening,  // its port accepts clients
  failed,     // its port could not be opened; tried again with back-off
};

std::string_view to_string(StreamState state);

// A stream as it is: what was asked for and how it fares.
struct Stream {
  StreamSpec spec;
  StreamState state = StreamState::listening;
  // Why it is `failed`; or, while it listens, why its latest session did not reach the backend.
  // Else empty.
  std::string reason;
  base::WallTime created_at{};
  base::WallTime updated_at{};  // when the spec or the state changed last
  std::string created_by;       // the actor
  std::int64_t revision = 1;    // counts the spec's changes
  bool operator==(const Stream&) const = default;
};

// From the texts of a request. invalid: says what is wrong with which.
base::Result<StreamSpec> make_spec(std::string_view port, std::string_view backend);

// May a new stream have this port? invalid: names the ranges.
base::Result<void> check_in_range(std::uint16_t port, const PortRanges& ranges);

}  // namespace sc::core
