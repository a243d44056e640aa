#include "http/query.h"

#include <algorithm>
#include <string>

#include "base/text.h"

namespace sc::http {
namespace {

std::optional<std::string> decode(std::string_view text) {
  std::string spaced(text);
  std::replace(spaced.begin(), spaced.end(), '+', ' ');
  return base::percent_decode(spaced);
}

}  // namespace

std::optional<QueryFields> parse_query(std::string_view query) {
  QueryFields fields;
  if (query.empty()) return fields;
  while (true) {
    const std::size_t end = query.find('&');
    const std::string_view field = query.substr(0, end);
    // Split first, decoded then: `%26` and `%3D` are part of what they stand in.
    const std::size_t equals = field.find('=');
    auto name = decode(field.substr(0, equals));
    auto value =
        decode(equals == std::string_view::npos ? std::string_view{} : field.substr(equals + 1));
    if (!name || name->empty() || !value) return std::nullopt;
    fields.emplace_back(std::move(*name), std::move(*value));
    if (end == std::string_view::npos) return fields;
    query.remove_prefix(end + 1);
  }
}

}  // namespace sc::http
