#include "config/config_file.h"

#include <algorithm>
#include <optional>

#include "base/result.h"
#include "base/text.h"

namespace sc::config {
namespace {

using base::Errc;
using base::Error;
using base::Result;

constexpr std::string_view kBlank = " \t";

bool is_key_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-';
}

bool is_word_char(char c) {
  return is_key_char(c) || std::string_view("+.:,/").find(c) != std::string_view::npos;
}

std::string_view trim_left(std::string_view text) {
  return text.substr(std::min(text.find_first_not_of(kBlank), text.size()));
}

std::string_view trim(std::string_view text) {
  text = trim_left(text);
  return text.substr(0, text.find_last_not_of(kBlank) + 1);
}

// TOML 1.0, "String"; without \u, as every character can be written as it is.
std::optional<char> unescape(char c) {
  switch (c) {
    case 'b':
      return '\b';
    case 't':
      return '\t';
    case 'n':
      return '\n';
    case 'f':
      return '\f';
    case 'r':
      return '\r';
    case '"':
    case '\\':
      return c;
    default:
      return std::nullopt;
  }
}

// Takes the string that `rest` starts with, quotes and all, off its front.
Result<std::string> take_quoted(std::string_view& rest) {
  const char quote = rest.front();
  std::string value;
  for (std::size_t i = 1; i < rest.size(); ++i) {
    if (rest[i] == quote) {
      rest.remove_prefix(i + 1);
      return value;
    }
    if (quote == '"' && rest[i] == '\\') {
      const auto meant = i + 1 < rest.size() ? unescape(rest[i + 1]) : std::nullopt;
      if (!meant)
        return Error{Errc::invalid, "in double quotes a \\ is followed by one of b t n f r \" \\"};
      value += *meant;
      ++i;
    } else {
      value += rest[i];
    }
  }
  return Error{Errc::invalid, "the closing quote is missing"};
}

Result<std::string> parse_value(std::string_view rest) {
  if (rest.empty() || rest.front() == '#') return Error{Errc::invalid, "the value is missing"};
  std::string value;
  if (rest.front() == '"' || rest.front() == '\'') {
    auto text = take_quoted(rest);
    if (!text) return text.error();
    value = std::move(*text);
  } else {
    const auto* const end = std::find_if_not(rest.begin(), rest.end(), is_word_char);
    value.assign(rest.begin(), end);
    rest.remove_prefix(value.size());
    if (value.empty())
      return Error{Errc::invalid, base::quoted(rest.substr(0, 1)) + " cannot start a value"};
  }
  rest = trim_left(rest);
  if (!rest.empty() && rest.front() != '#')
    return Error{Errc::invalid, base::quoted(rest) +
                                    " follows the value; one that is more than a plain word stands "
                                    "in quotes"};
  return value;
}

Result<ConfigFile::Entry> parse_entry(std::string_view line) {
  const bool control = std::any_of(line.begin(), line.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && c != '\t') || byte == 0x7f;
  });
  if (control) return Error{Errc::invalid, "a control character"};
  if (line.front() == '[')
    return Error{Errc::invalid, base::quoted(line) + ": there are no sections, only key = value"};
  const std::size_t equals = line.find('=');
  if (equals == std::string_view::npos)
    return Error{Errc::invalid, base::quoted(line) + " is not key = value"};
  const std::string_view key = trim(line.substr(0, equals));
  if (key.empty() || !std::all_of(key.begin(), key.end(), is_key_char))
    return Error{Errc::invalid, base::quoted(key) + " is not a key"};
  auto value = parse_value(trim_left(line.substr(equals + 1)));
  if (!value) return Error{Errc::invalid, std::string(key) + ": " + value.error().message};
  return ConfigFile::Entry{std::string(key), std::move(*value), 0};
}

}  // namespace

ConfigFile parse_config_file(std::string_view text) {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (text.substr(0, 3) == kByteOrderMark) text.remove_prefix(3);
  ConfigFile out;
  for (unsigned number = 1; !text.empty(); ++number) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    line = trim(line);
    if (line.empty() || line.front() == '#') continue;
    auto entry = parse_entry(line);
    if (!entry) {
      out.faults.push_back({number, entry.error().message});
      continue;
    }
    const auto before =
        std::find_if(out.entries.begin(), out.entries.end(),
                     [&](const ConfigFile::Entry& other) { return other.key == entry->key; });
    if (before != out.entries.end()) {
      out.faults.push_back(
          {number, entry->key + " was given already in line " + std::to_string(before->line)});
      continue;
    }
    entry->line = number;
    out.entries.push_back(std::move(*entry));
  }
  return out;
}

}  // namespace sc::config
