#include "api/json_writer.h"

#include <array>
#include <charconv>
#include <utility>

namespace sc::api {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

bool is_continuation(unsigned char byte) { return (byte & 0xC0) == 0x80; }

// Bytes of the well-formed sequence (Unicode 15, table 3-7) at the text's start; 0: there is none.
std::size_t sequence_size(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  std::size_t size = 0;
  unsigned char least = 0x80;
  unsigned char most = 0xBF;
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) {
    size = 2;
  } else if (first >= 0xE0 && first <= 0xEF) {
    size = 3;
    if (first == 0xE0) least = 0xA0;  // not overlong
    if (first == 0xED) most = 0x9F;   // no surrogate
  } else if (first >= 0xF0 && first <= 0xF4) {
    size = 4;
    if (first == 0xF0) least = 0x90;
    if (first == 0xF4) most = 0x8F;  // not above U+10FFFF
  } else {
    return 0;
  }
  if (text.size() < size || byte(1) < least || byte(1) > most) return 0;
  for (std::size_t i = 2; i < size; ++i)
    if (!is_continuation(byte(i))) return 0;
  return size;
}

template <class Number>
void append_number(std::string& out, Number value) {
  std::array<char, 24> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  out.append(digits.data(), end);
}

}  // namespace

JsonWriter& JsonWriter::key(std::string_view name) {
  before_value();
  append_quoted(name);
  out_ += ':';
  needs_comma_ = false;
  return *this;
}

JsonWriter& JsonWriter::string(std::string_view value) {
  before_value();
  append_quoted(value);
  return *this;
}

JsonWriter& JsonWriter::integer(std::int64_t value) {
  before_value();
  append_number(out_, value);
  return *this;
}

JsonWriter& JsonWriter::number(std::uint64_t value) {
  before_value();
  append_number(out_, value);
  return *this;
}

JsonWriter& JsonWriter::boolean(bool value) {
  before_value();
  out_ += value ? "true" : "false";
  return *this;
}

JsonWriter& JsonWriter::null() {
  before_value();
  out_ += "null";
  return *this;
}

std::string JsonWriter::take() && {
  out_ += '\n';
  return std::move(out_);
}

JsonWriter& JsonWriter::open(char bracket) {
  before_value();
  out_ += bracket;
  needs_comma_ = false;
  return *this;
}

JsonWriter& JsonWriter::close(char bracket) {
  out_ += bracket;
  needs_comma_ = true;
  return *this;
}

void JsonWriter::before_value() {
  if (needs_comma_) out_ += ',';
  needs_comma_ = true;
}

void JsonWriter::append_quoted(std::string_view value) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  out_ += '"';
  while (!value.empty()) {
    const auto first = static_cast<unsigned char>(value.front());
    std::size_t size = 1;
    if (first == '"' || first == '\\') {
      out_ += '\\';
      out_ += value.front();
    } else if (first == '\n') {
      out_ += "\\n";
    } else if (first < 0x20 || first == 0x7F) {
      out_ += "\\u00";
      out_ += kHex[first >> 4];
      out_ += kHex[first & 15];
    } else if (size = sequence_size(value); size > 0) {
      out_ += value.substr(0, size);
    } else {
      out_ += kReplacement;
      size = 1;
    }
    value.remove_prefix(size);
  }
  out_ += '"';
}

}  // namespace sc::api
