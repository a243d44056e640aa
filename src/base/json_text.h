#pragma once

#include <string>
#include <string_view>

namespace sc::base {

// The text as a JSON string with its quotes (RFC 8259 section 7). What is not UTF-8 becomes U+FFFD,
// so that the result always is.
std::string json_string(std::string_view text);

}  // namespace sc::base
