#include "base/hidden_text.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

namespace sc::base {
namespace {

struct Range {
  char32_t first;
  char32_t last;
};
// Default_Ignorable_Code_Point of Unicode 15.1, the control characters, and what is as invisible.
constexpr std::array kHidden{
    Range{0x00, 0x1f},        // C0
    Range{0x7f, 0x9f},        // DEL, C1
    Range{0xad, 0xad},        // soft hyphen
    Range{0x34f, 0x34f},      // combining grapheme joiner
    Range{0x61c, 0x61c},      // Arabic letter mark
    Range{0x115f, 0x1160},    // Hangul fillers
    Range{0x17b4, 0x17b5},    // Khmer inherent vowels
    Range{0x180b, 0x180f},    // Mongolian variation selectors and vowel separator
    Range{0x200b, 0x200f},    // zero-width characters, left-to-right and right-to-left mark
    Range{0x2028, 0x202e},    // line and paragraph separator, embeddings and overrides
    Range{0x2060, 0x206f},    // word joiner, invisible operators, isolates
    Range{0x2800, 0x2800},    // empty Braille pattern
    Range{0x3164, 0x3164},    // Hangul filler
    Range{0xfe00, 0xfe0f},    // variation selectors
    Range{0xfeff, 0xfeff},    // byte order mark
    Range{0xffa0, 0xffa0},    // halfwidth Hangul filler
    Range{0xfff0, 0xfffb},    // reserved ones, interlinear annotations
    Range{0x1bca0, 0x1bca3},  // shorthand format controls
    Range{0x1d173, 0x1d17a},  // musical format controls
    Range{0xe0000, 0xe0fff},  // tags, further variation selectors
};

bool is_joiner(char32_t character) { return character == 0x200c || character == 0x200d; }

bool is_variation_selector(char32_t character) {
  return (character >= 0x180b && character <= 0x180d) || character == 0x180f ||
         (character >= 0xfe00 && character <= 0xfe0f) ||
         (character >= 0xe0100 && character <= 0xe01ef);
}

// Judges the characters of a text one after the other, because of some it matters what stands
// before them.
class Judge {
 public:
  // Returns whether the text's next character is hidden in its place. nullopt: a byte that is no
  // UTF-8.
  bool is_hidden_here(std::optional<char32_t> character) {
    const Before before = std::exchange(before_, Before::other);
    if (!character) return false;
    if (!is_hidden(*character)) {
      if (*character >= 0x80) before_ = Before::letter;
      return false;
    }
    if (is_variation_selector(*character) && before == Before::letter) {
      before_ = Before::selector;
      return false;
    }
    return !is_joiner(*character) || before == Before::other;
  }

 private:
  enum class Before : unsigned char {
    other,
    letter,    // a visible character that is not ASCII
    selector,  // a variation selector behind such a one
  };
  Before before_ = Before::other;
};

template <class... Args>
std::string printed(const char* format, Args... args) {
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), format, args...);
  return text.data();
}

}  // namespace

bool is_hidden(char32_t character) {
  return std::any_of(kHidden.begin(), kHidden.end(), [&](const Range& range) {
    return character >= range.first && character <= range.last;
  });
}

std::optional<char32_t> take_character(std::string_view& text) {
  const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
  const unsigned first = byte(0);
  const std::size_t size = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  bool is_good = first < 0x80 || (first >= 0xc2 && first <= 0xf4 && text.size() >= size);
  char32_t character = size == 1 ? first : first & (0xffU >> (size + 1));
  for (std::size_t i = 1; is_good && i < size; ++i) {
    is_good = (byte(i) & 0xc0U) == 0x80;
    character = (character << 6U) | (byte(i) & 0x3fU);
  }
  // Overlong forms, surrogates, and what is above U+10FFFF.
  is_good = is_good &&
            !(size == 3 && (character < 0x800 || (character >= 0xd800 && character < 0xe000))) &&
            !(size == 4 && (character < 0x10000 || character > 0x10ffff));
  text.remove_prefix(is_good ? size : 1);
  if (!is_good) return std::nullopt;
  return character;
}

std::optional<char32_t> find_hidden(std::string_view text, bool line_ends) {
  Judge judge;
  while (!text.empty()) {
    const auto character = take_character(text);
    if (!judge.is_hidden_here(character)) continue;
    if (!line_ends || (*character != U'\n' && *character != U'\t')) return character;
  }
  return std::nullopt;
}

std::string show_hidden(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  Judge judge;
  while (!text.empty()) {
    const std::string_view before = text;
    const auto character = take_character(text);
    const bool is_hidden_here = judge.is_hidden_here(character);
    if (!character) {
      out += printed("\\x%02x", static_cast<unsigned>(static_cast<unsigned char>(before.front())));
    } else if (is_hidden_here) {
      out += printed("\\u{%x}", static_cast<unsigned>(*character));
    } else {
      out += before.substr(0, before.size() - text.size());
    }
  }
  return out;
}

std::string code_point_name(char32_t character) {
  return printed("U+%04X", static_cast<unsigned>(character));
}

}  // namespace sc::base
