#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "core/port_range.h"
#include "core/stream.h"

// Every JSON text of the API is made here, and nowhere else are its fields named.
namespace sc::api {

// RFC 9457; `type` is about:blank, so `title` is the status' own phrase.
std::string problem_json(int status, std::string_view title, std::string_view detail);

// What the original answered, see legacy.h.
std::string legacy_status_json(const core::PortRanges& ranges);
std::string legacy_streams_json(const std::vector<core::Stream>& streams);
std::string legacy_ok_json();
std::string legacy_error_json(std::string_view why);
std::string legacy_not_found_json();
std::string legacy_has_json(bool has);
std::string legacy_port_json(std::uint16_t port);
std::string legacy_none_available_json();

}  // namespace sc::api
