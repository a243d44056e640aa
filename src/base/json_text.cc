#include "base/json_text.h"

#include <array>
#include <cstdio>

#include "base/hidden_text.h"

namespace sc::base {

std::string json_string(std::string_view text) {
  std::string out = "\"";
  out.reserve(text.size() + 2);
  const auto append_unit = [&out](unsigned unit) {
    std::array<char, 16> escaped{};
    std::snprintf(escaped.data(), escaped.size(), "\\u%04x", unit);
    out += escaped.data();
  };
  while (!text.empty()) {
    const std::string_view before = text;
    const auto character = take_character(text);
    if (!character) {
      out += "\\ufffd";
    } else if (is_hidden(*character) && *character > 0xffff) {  // a surrogate pair
      append_unit(0xd800 + ((*character - 0x10000) >> 10U));
      append_unit(0xdc00 + (*character & 0x3ffU));
    } else if (is_hidden(*character)) {
      append_unit(*character);
    } else {
      if (*character == '"' || *character == '\\') out += '\\';
      out += before.substr(0, before.size() - text.size());
    }
  }
  return out + '"';
}

}  // namespace sc::base
