#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sc::http {

using QueryFields = std::vector<std::pair<std::string, std::string>>;

// `a=1&b=2` in its fields, as they stand there, duplicates too; a name without `=` has an empty
// value. A `+` is a plus, so that a time such as 14:03:00+01:00 can be given as it is: the space
// for which it stands in HTML forms is `%20`. Nothing when a percent-escape is malformed or a field
// has no name.
std::optional<QueryFields> parse_query(std::string_view query);

}  // namespace sc::http
