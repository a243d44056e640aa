#include "base/text.h"

#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.h"

namespace sc::test {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;

constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();

TEST_CASE("a number is digits only, within its bounds") {
  CHECK(base::parse_unsigned("0", 0, kMost) == 0U);
  CHECK(base::parse_unsigned("7", 7, 7) == 7U);
  CHECK(base::parse_unsigned("18446744073709551615", 0, kMost) == kMost);
  for (const std::string& bad :
       {""s, " "s, " 1"s, "1 "s, "+1"s, "-1"s, "-0"s, "00"s, "01"s, "1.0"s, "1e3"s, "0x1"s, "1_0"s,
        "1,0"s, "1\n"s, "1\0"s, "\xd9\xa1"s, "18446744073709551616"s, "99999999999999999999999"s}) {
    CAPTURE(base::quoted(bad));
    CHECK_FALSE(base::parse_unsigned(bad, 0, kMost));
  }
  CHECK_FALSE(base::parse_unsigned("6", 7, 9));
  CHECK_FALSE(base::parse_unsigned("10", 7, 9));
}

TEST_CASE("a port is a number from 1 to 65535") {
  CHECK(base::parse_port("1") == 1);
  CHECK(base::parse_port("9000") == 9000);
  CHECK(base::parse_port("65535") == 65535);
  for (const char* bad : {"", "0", "65536", "99999", "+1", "-1", "080", " 80", "80 ", "http",
                          "4294967297", "18446744073709551617"}) {
    CAPTURE(bad);
    CHECK_FALSE(base::parse_port(bad));
  }
}

TEST_CASE("a duration is 0 or digits with a unit") {
  const std::vector<std::pair<std::string, std::chrono::milliseconds>> good{
      {"0", 0ms},   {"0s", 0ms},         {"1ms", 1ms},     {"250ms", 250ms},
      {"5s", 5s},   {"10m", 10min},      {"2h", 2h},       {"1d", 24h},
      {"90s", 90s}, {"365d", 24h * 365}, {"8760h", 8760h}, {"31536000000ms", 24h * 365}};
  for (const auto& [text, expected] : good) {
    CAPTURE(text);
    const auto parsed = base::parse_duration(text);
    REQUIRE(parsed);
    CHECK(*parsed == expected);
  }
}

TEST_CASE("a duration with anything else about it is refused") {
  for (const std::string& bad :
       {""s, "1"s, "00"s, "s"s, "ms"s, " 5s"s, "5s "s, "5 s"s, "+5s"s, "-5s"s, "05s"s, "5S"s,
        "5sec"s, "1.5s"s, "1h30m"s, "5s\0"s, "5us"s, "5w"s}) {
    CAPTURE(base::quoted(bad));
    CHECK_FALSE(base::parse_duration(bad));
  }
}

TEST_CASE("a duration over 365 days is refused, however large the number") {
  for (const char* bad :
       {"366d", "8761h", "525601m", "31536001s", "31536000001ms", "18446744073709551615ms",
        "18446744073709551616s", "213503982334602d", "99999999999999999999999999d"}) {
    CAPTURE(bad);
    CHECK_FALSE(base::parse_duration(bad));
  }
}

TEST_CASE("a duration is written in its largest whole unit") {
  CHECK(base::format_duration(0ms) == "0");
  CHECK(base::format_duration(1ms) == "1ms");
  CHECK(base::format_duration(1500ms) == "1500ms");
  CHECK(base::format_duration(60s) == "1m");
  CHECK(base::format_duration(90s) == "90s");
  CHECK(base::format_duration(24h) == "1d");
  CHECK(base::format_duration(25h) == "25h");
  CHECK(base::format_duration(-5ms) == "0");
}

TEST_CASE("a duration that was written is read as the same") {
  for (const auto duration : std::vector<std::chrono::milliseconds>{
           0ms, 1ms, 999ms, 1s, 1001ms, 59s, 60s, 61s, 3599s, 1h, 24h, 25h, 24h * 365}) {
    CAPTURE(duration.count());
    const auto read = base::parse_duration(base::format_duration(duration));
    REQUIRE(read);
    CHECK(*read == duration);
  }
}

TEST_CASE("percent-encoding is decoded once") {
  CHECK(base::percent_decode("") == ""s);
  CHECK(base::percent_decode("plain/path") == "plain/path"s);
  CHECK(base::percent_decode("%41%7a%2F") == "Az/"s);
  CHECK(base::percent_decode("%5B%3a%3A1%5d") == "[::1]"s);
  CHECK(base::percent_decode("%2541") == "%41"s);
  CHECK(base::percent_decode("a+b") == "a+b"s);
  CHECK(base::percent_decode("%ff%0a") == "\xff\n"s);
}

TEST_CASE("what is no percent-encoding is refused, and so is NUL") {
  for (const char* bad : {"%", "%4", "a%", "a%4", "%zz", "%4g", "%g4", "%%41", "% 41", "%+1", "%-1",
                          "%0x", "%00", "a%00b", "%u0041"}) {
    CAPTURE(bad);
    CHECK_FALSE(base::percent_decode(bad));
  }
}

TEST_CASE("quoted text shows what cannot be printed and no more than 200 bytes") {
  CHECK(base::quoted("") == "\"\"");
  CHECK(base::quoted("plain text") == "\"plain text\"");
  CHECK(base::quoted("a\"b\\c") == R"("a\"b\\c")");
  CHECK(base::quoted("\n\t\x1b[0m\x7f\xc3\xa9"s) == R"("\x0a\x09\x1b[0m\x7f\xc3\xa9")");
  CHECK(base::quoted("nul\0!"s) == R"("nul\x00!")");
  CHECK(base::quoted(std::string(200, 'x')) == "\"" + std::string(200, 'x') + "\"");
  CHECK(base::quoted(std::string(201, 'x')) == "\"" + std::string(200, 'x') + "...\"");
}

TEST_CASE("letter case is changed for ASCII alone") {
  CHECK(base::to_lower("AbC-1_\xc3\x89") == "abc-1_\xc3\x89");
  CHECK(base::to_upper("aBc-1_\xc3\xa9") == "ABC-1_\xc3\xa9");
}

}  // namespace
}  // namespace sc::test
