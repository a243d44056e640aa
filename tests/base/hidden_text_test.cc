#include "base/hidden_text.h"

#include <cstddef>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "base/json_text.h"
#include "base/log.h"
#include "support/catch.h"

namespace sc::base {
namespace {

// The list that the page's copy is held to as well, see tests/e2e/ui_access_test.py.
std::set<char32_t> listed() {
  std::ifstream file(SC_HIDDEN_CHARACTERS);
  REQUIRE(file);
  std::set<char32_t> all;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line.front() == '#') continue;
    std::size_t dots = 0;
    const auto first = std::stoul(line, &dots, 16);
    const auto last = std::stoul(line.substr(dots + 2), nullptr, 16);
    for (auto each = first; each <= last; ++each) all.insert(static_cast<char32_t>(each));
  }
  return all;
}

TEST_CASE("characters that show nothing are hidden, all others are not") {
  const std::set<char32_t> hidden = listed();
  CHECK(hidden.contains(U'\u2800'));
  std::vector<unsigned> wrong;
  for (char32_t each = 0; each <= 0x10ffff; ++each)
    if (is_hidden(each) != hidden.contains(each)) wrong.push_back(each);
  CHECK(wrong.empty());
}

TEST_CASE("joiners and variation selectors are hidden where no script needs them") {
  for (const char* text :
       {"\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",  // Persian, non-joiner
        "\u0915\u094d\u200d\u0937",                          // Devanagari, joiner
        "\u2764\ufe0f\u200d\U0001f525",                      // emoji, selector and joiner
        "\U0001f469\u200d\U0001f4bb", "\u2601\ufe0f", "\u845b\U000e0100"}) {
    INFO(text);
    CHECK_FALSE(find_hidden(text));
    CHECK(show_hidden(text) == text);
  }
  CHECK(find_hidden("w\u200deb") == U'\u200d');
  CHECK(find_hidden("web\ufe0f") == U'\ufe0f');
  CHECK(find_hidden("\u200cweb") == U'\u200c');
  CHECK(find_hidden("\u0645\u200c\u200c") == U'\u200c');
  CHECK(find_hidden("\u2601\ufe0f\ufe0f") == U'\ufe0f');
  CHECK(find_hidden("\u0645\u3164\u200d") == U'\u3164');
  CHECK(show_hidden("\xd9\u200d") == "\\xd9\\u{200d}");
}

TEST_CASE("the first hidden character of a text is found, line ends only where they matter") {
  CHECK(find_hidden("ok\u202eko") == U'\u202e');
  CHECK(find_hidden("a\nb") == U'\n');
  CHECK_FALSE(find_hidden("a\nb\tc", true));
  CHECK(find_hidden("a\nb\u0085", true) == U'\u0085');
  CHECK_FALSE(find_hidden("b\u00fccher \u4e2d"));
  CHECK_FALSE(find_hidden("\xff\x85"));  // no UTF-8
  CHECK(code_point_name(U'\u0085') == "U+0085");
}

TEST_CASE("a hidden character is shown by its code, and a byte that is no UTF-8 by its number") {
  CHECK(show_hidden("a\u202eb\x1b[m\u00e4") == "a\\u{202e}b\\u{1b}[m\u00e4");
  CHECK(show_hidden("\xc3(\xed\xa0\x80\xf4\x90\x80\x80") ==
        "\\xc3(\\xed\\xa0\\x80\\xf4\\x90\\x80\\x80");
  CHECK(show_hidden("\xc0\x8a\xe0\x80\x8a") == "\\xc0\\x8a\\xe0\\x80\\x8a");  // overlong
}

TEST_CASE("log lines show hidden characters of texts of others, as text and as JSON") {
  const log::Field field{"label", "a\u202eb\u0085"};
  const std::string line = log::to_line("x\u202e", {&field, 1});
  CHECK(line == "x\\u{202e} label=\"a\\xe2\\x80\\xaeb\\xc2\\x85\"");
  CHECK(json_string("a\u202eb\u0085") == "\"a\\u202eb\\u0085\"");
  CHECK(json_string("\U000e0041") == "\"\\udb40\\udc41\"");
}

}  // namespace
}  // namespace sc::base
