#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sc::base {

// Characters that show nothing, or that change how the text around them is shown: control
// characters (C0, DEL, C1), the bidirectional controls (UAX #9), what Unicode calls default
// ignorable, line and paragraph separators, the empty Braille pattern and interlinear annotations.
// With them a text of another person can look like a different one in a log, a terminal or a page.
bool is_hidden(char32_t character);

// Returns the first hidden character of a text in UTF-8; nullopt: there is none. With `line_ends`,
// line feeds and tabs do not count. Bytes that are no UTF-8 do not count.
//
// Scripts such as Persian and Devanagari, and emoji, need joiners (U+200C, U+200D) and variation
// selectors. These do not count behind a visible character that is not ASCII, and a joiner does not
// count behind such a selector either.
std::optional<char32_t> find_hidden(std::string_view text, bool line_ends = false);

// The text with each hidden character, as find_hidden() counts them, as `\u{202e}`, and each byte
// that is no UTF-8 as `\xNN`.
std::string show_hidden(std::string_view text);

// `U+202E`.
std::string code_point_name(char32_t character);

// Takes the first character off a text that is not empty; nullopt: its first byte, as it is no
// well-formed UTF-8 (Unicode section 3.9, table 3-7).
std::optional<char32_t> take_character(std::string_view& text);

}  // namespace sc::base
