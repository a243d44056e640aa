#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sc::http {

using QueryFields = std::vector<std::pair<std::string, std::string>>;

// `a=1&b=2` in its fields, as they stand there, duplicates too; a name without `=` has an empty
// value. A `+` is a space, as HTML forms send it; a plus is `%2B`. nullopt: a percent-escape is
// malformed or a field has no name.
std::optional<QueryFields> parse_query(std::string_view query);

}  // namespace sc::http
