#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "core/port_range.h"
#include "core/stream.h"

// The JSON texts of problems and of the older endpoints. What the API reads and writes is named in
// the files json*.cc and nowhere else.
namespace sc::api {

struct Problem;

// RFC 9457.
std::string problem_json(std::string_view slug, std::string_view title, int status,
                         const Problem& problem);

// What the original answered, see legacy.h.
std::string legacy_status_json(const core::PortRanges& ranges);
std::string legacy_streams_json(const core::StreamMap& streams);
std::string legacy_ok_json();
std::string legacy_error_json(std::string_view why);
std::string legacy_not_found_json();
std::string legacy_has_json(bool has);
std::string legacy_port_json(std::uint16_t port);
std::string legacy_none_available_json();

}  // namespace sc::api
