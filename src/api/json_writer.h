#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace sc::api {

// Writes JSON text straight into a string: no tree is made of what is only to be sent. The caller
// keeps begins and ends, keys and values in order. What is not UTF-8 becomes U+FFFD.
class JsonWriter {
 public:
  JsonWriter& begin_object() { return open('{'); }
  JsonWriter& end_object() { return close('}'); }
  JsonWriter& begin_array() { return open('['); }
  JsonWriter& end_array() { return close(']'); }
  JsonWriter& key(std::string_view name);

  JsonWriter& string(std::string_view value);
  JsonWriter& integer(std::int64_t value);
  JsonWriter& number(std::uint64_t value);
  JsonWriter& boolean(bool value);
  // As a number with three decimals at most: `0.3`, `41`.
  JsonWriter& milliseconds(std::chrono::microseconds value);
  JsonWriter& null();

  // With a line end, for people with curl.
  std::string take() &&;

 private:
  JsonWriter& open(char bracket);
  JsonWriter& close(char bracket);
  void before_value();
  void append_quoted(std::string_view value);

  std::string out_;
  bool needs_comma_ = false;
};

}  // namespace sc::api
