#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "api/problem.h"

namespace sc::api {

using Json = nlohmann::json;

constexpr std::size_t kMaxJsonDepth = 32;

// Strictly RFC 8259, one value and nothing behind it. What parsers are known to disagree about is
// refused as well: a key that stands twice in an object, an integer that does not fit 64 bits, a
// number that is no finite double. malformed_json: says where, by byte or JSON pointer.
Outcome<Json> read_json(std::string_view text);

// `~` and `/` in a key as RFC 6901 writes them.
std::string pointer_token(std::string_view key);

}  // namespace sc::api
