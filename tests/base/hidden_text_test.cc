#include "base/hidden_text.h"

#include <string>

#include "base/json_text.h"
#include "base/log.h"
#include "support/catch.h"

namespace sc::base {
namespace {

TEST_CASE("control, bidirectional and zero-width characters are hidden, letters are not") {
  for (const char32_t each :
       {U'\0', U'\n', U'\x1b', U'\x7f', U'\u0085', U'\u009b', U'\u00ad', U'\u061c', U'\u200b',
        U'\u200f', U'\u2028', U'\u2029', U'\u202e', U'\u2066', U'\u2069', U'\ufeff', U'\U000e0041'})
    CHECK(is_hidden(each));
  for (const char32_t each : {U'a', U' ', U'~', U'\u00a0', U'\u00e4', U'\u0634', U'\u05d0',
                              U'\u4e2d', U'\u2013', U'\ufe0f', U'\U0001f600'})
    CHECK_FALSE(is_hidden(each));
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
