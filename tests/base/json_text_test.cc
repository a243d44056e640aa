#include "base/json_text.h"

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/log.h"
#include "support/catch.h"

namespace sc::test {
namespace {

using base::json_string;
using nlohmann::json;
using namespace std::string_literals;

TEST_CASE("whatever is UTF-8 is read back from its JSON string as it was") {
  std::string each;
  for (char c = 0; c < 0x7f; ++c) each += c;
  for (const std::string& text :
       {""s, each + '\x7f', "say \"x\" \\ /"s, "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"s,
        "\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf\xc2\x80\xe0\xa0\x80\xf0\x90\x80\x80"s}) {
    CAPTURE(text);
    CHECK(json::parse(json_string(text)).get<std::string>() == text);
  }
}

TEST_CASE("a JSON string has no control character and no line break in it") {
  for (const char c : json_string("\r\n\t\0\x1b\x7f"s))
    CHECK((static_cast<unsigned char>(c) >= 0x20 && c != 0x7f));
}

TEST_CASE("what is not UTF-8 becomes U+FFFD, byte by byte, and the rest stays") {
  const std::string mark = "\xef\xbf\xbd";
  struct Row {
    std::string given;
    std::string read;
  };
  for (const Row& row : std::vector<Row>{
           {"a\xff"
            "b",
            "a" + mark + "b"},
           {"\x80", mark},                                   // a continuation alone
           {"\xc3", mark},                                   // cut short
           {"\xe2\x82", mark + mark},                        // likewise
           {"\xc0\xaf", mark + mark},                        // overlong
           {"\xe0\x80\xaf", mark + mark + mark},             // likewise
           {"\xed\xa0\x80", mark + mark + mark},             // a surrogate
           {"\xf4\x90\x80\x80", mark + mark + mark + mark},  // above U+10FFFF
           {"\xc3\"", mark + "\""},                          // a quote is not swallowed
       }) {
    CAPTURE(row.given);
    CHECK(json::parse(json_string(row.given)).get<std::string>() == row.read);
  }
}

TEST_CASE("a line of the log is one JSON object, whatever stands in it") {
  const base::WallTime time{std::chrono::milliseconds{1'793'541'780'123}};
  const std::vector<base::log::Field> fields{
      {"port", "9000"}, {"message", "say \"x\"\n"}, {"note", "\xff\x1b[2J"}};
  const std::string line =
      base::log::to_json(time, base::log::Level::warning, "it\n\"failed\"", fields);
  CHECK(line.find('\n') == std::string::npos);
  const json read = json::parse(line);
  CHECK(read.size() == 4);
  CHECK(read["time"] == base::to_iso8601(time));
  CHECK(read["level"] == "warning");
  CHECK(read["message"] == "it\n\"failed\"");
  CHECK(read["fields"] ==
        json{{"port", "9000"}, {"message", "say \"x\"\n"}, {"note", "\xef\xbf\xbd\x1b[2J"}});
  CHECK(json::parse(base::log::to_json(time, base::log::Level::info, "", {}))["fields"].empty());
}

}  // namespace
}  // namespace sc::test
