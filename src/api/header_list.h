#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "http/message.h"

namespace sc::api {

// The elements of a field that is a comma-separated list, of all its lines (RFC 9110 sections 5.3
// and 5.6.1): trimmed, empty ones left out, commas within quoted strings kept. Views into the
// request. Nothing when a quoted string does not end.
std::optional<std::vector<std::string_view>> header_list(const http::Request& request,
                                                         std::string_view name);

// Splits at a delimiter outside of quoted strings and trims. Nothing as above.
std::optional<std::vector<std::string_view>> split_quoted(std::string_view text, char delimiter);

}  // namespace sc::api
