#include "http/query.h"

#include "base/text.h"

namespace sc::http {

std::optional<QueryFields> parse_query(std::string_view query) {
  QueryFields fields;
  if (query.empty()) return fields;
  while (true) {
    const std::size_t end = query.find('&');
    const std::string_view field = query.substr(0, end);
    // Split first, decoded then: `%26` and `%3D` are part of what they stand in.
    const std::size_t equals = field.find('=');
    auto name = base::percent_decode(field.substr(0, equals));
    auto value = base::percent_decode(equals == std::string_view::npos ? std::string_view{}
                                                                       : field.substr(equals + 1));
    if (!name || name->empty() || !value) return std::nullopt;
    fields.emplace_back(std::move(*name), std::move(*value));
    if (end == std::string_view::npos) return fields;
    query.remove_prefix(end + 1);
  }
}

}  // namespace sc::http
