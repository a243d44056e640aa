#include "api/query.h"

#include <algorithm>
#include <utility>

#include "base/text.h"

namespace sc::api {
namespace {

Problem malformed(std::string detail) {
  return {ProblemType::malformed_request, std::move(detail), {}, {}};
}

// RFC 3986 section 2.3: all but the unreserved ones.
void append_encoded(std::string& out, std::string_view text) {
  static constexpr std::string_view kHex = "0123456789ABCDEF";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool is_plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                          (c >= 'A' && c <= 'Z') || c == '-' || c == '.' || c == '_' || c == '~';
    if (is_plain) {
      out += c;
    } else {
      out += '%';
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
}

}  // namespace

Problem bad_parameter(std::string_view name, std::string_view value, std::string_view allowed) {
  return malformed("the parameter " + std::string(name) + " is " + base::quoted(value) + "; it " +
                   std::string(allowed));
}

Outcome<Query> Query::read(const http::Request& request,
                           std::initializer_list<std::string_view> allowed) {
  auto fields = http::parse_query(request.query);
  if (!fields) return malformed("the query has a malformed percent-escape or a value without name");
  std::string names;
  for (const std::string_view name : allowed)
    names.append(names.empty() ? "there are " : ", ").append(name);
  if (names.empty()) names = "there are none here";
  for (auto field = fields->begin(); field != fields->end(); ++field) {
    const std::string& name = field->first;
    if (std::find(allowed.begin(), allowed.end(), name) == allowed.end())
      return malformed("the parameter " + base::quoted(name) + " is unknown; " + names);
    if (std::any_of(fields->begin(), field, [&](const auto& other) { return other.first == name; }))
      return malformed("the parameter " + base::quoted(name) + " stands more than once; " + names);
  }
  Query query;
  query.fields_ = std::move(*fields);
  return query;
}

std::optional<std::string> Query::text(std::string_view name) const {
  const auto found = std::find_if(fields_.begin(), fields_.end(),
                                  [&](const auto& field) { return field.first == name; });
  if (found == fields_.end()) return std::nullopt;
  return found->second;
}

Outcome<std::optional<std::uint64_t>> Query::number(std::string_view name, std::uint64_t least,
                                                    std::uint64_t most) const {
  const auto value = text(name);
  if (!value) return std::optional<std::uint64_t>();
  const auto number = base::parse_unsigned(*value, least, most);
  if (!number)
    return bad_parameter(
        name, *value, "is a number from " + std::to_string(least) + " to " + std::to_string(most));
  return number;
}

Outcome<std::optional<base::WallTime>> Query::time(std::string_view name) const {
  const auto value = text(name);
  if (!value) return std::optional<base::WallTime>();
  // The offset's plus may stand as it is, 14:03:00+01:00. The query has read it as a space.
  constexpr std::size_t kOffset = 6;
  std::string given = *value;
  if (given.size() > kOffset && given[given.size() - kOffset] == ' ')
    given[given.size() - kOffset] = '+';
  const auto time = base::parse_rfc3339(given);
  if (!time) return bad_parameter(name, given, "is a time such as 2026-11-01T14:03:00Z (RFC 3339)");
  return time;
}

Outcome<bool> Query::boolean(std::string_view name) const {
  const auto value = text(name);
  if (!value || *value == "false") return false;
  if (*value == "true") return true;
  return bad_parameter(name, *value, "is true or false");
}

std::string Query::next_page(std::string_view path, std::string_view cursor) const {
  std::string target = std::string(path) + "?";
  for (const auto& [name, value] : fields_) {
    if (name == "cursor") continue;
    append_encoded(target, name);
    target += '=';
    append_encoded(target, value);
    target += '&';
  }
  target += "cursor=";
  append_encoded(target, cursor);
  return target;
}

}  // namespace sc::api
