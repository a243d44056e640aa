#include "api/header_list.h"

#include "base/text.h"

namespace sc::api {
namespace {

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

}  // namespace

// In entity tags a backslash is a character like any other (RFC 9110 section 8.8.3); elsewhere it
// escapes one, but no value that is known here has any.
std::optional<std::vector<std::string_view>> split_quoted(std::string_view text, char delimiter) {
  std::vector<std::string_view> parts;
  bool in_quotes = false;
  std::size_t start = 0;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    if (i < text.size() && text[i] == '"') in_quotes = !in_quotes;
    if (i < text.size() && (in_quotes || text[i] != delimiter)) continue;
    if (const auto part = trimmed(text.substr(start, i - start)); !part.empty())
      parts.push_back(part);
    start = i + 1;
  }
  if (in_quotes) return std::nullopt;
  return parts;
}

std::optional<std::vector<std::string_view>> header_list(const http::Request& request,
                                                         std::string_view name) {
  const std::string wanted = base::to_lower(name);
  std::vector<std::string_view> all;
  for (const http::Header& header : request.headers) {
    if (base::to_lower(header.name) != wanted) continue;
    const auto parts = split_quoted(header.value, ',');
    if (!parts) return std::nullopt;
    all.insert(all.end(), parts->begin(), parts->end());
  }
  return all;
}

}  // namespace sc::api
