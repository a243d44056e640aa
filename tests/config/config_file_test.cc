#include "config/config_file.h"

#include "support/catch.h"

namespace sc::config {
namespace {

struct Reading {
  std::string line;
  std::string value;
};

TEST_CASE("a value in the file is read with or without quotes, comments left out") {
  const auto row = GENERATE(values<Reading>({
      {"k = 5000", "5000"},
      {"k=5000", "5000"},
      {"\t k\t=\t5000\t ", "5000"},
      {"k = 5000# the port", "5000"},
      {"k = \"9000-9009\"", "9000-9009"},
      {"k = '9000-9009' # comment", "9000-9009"},
      {"k = 9000-9009,10000-10999", "9000-9009,10000-10999"},
      {"k = \"9000-9009, 1\"", "9000-9009, 1"},
      {"k = /var/lib/x.y_z", "/var/lib/x.y_z"},
      {"k = ::1", "::1"},
      {"k = \"\"", ""},
      {"k = ''", ""},
      {"k = \"/srv/a#b\"", "/srv/a#b"},
      {"k = '/srv/a#b' # \"", "/srv/a#b"},
      {"k = \"a=b\"", "a=b"},
      {R"(k = "a\"b\\c\td")", "a\"b\\c\td"},
      {R"(k = 'a\b')", "a\\b"},
      {"k = \"caf\xc3\xa9\"", "caf\xc3\xa9"},
      {"k = 5\r", "5"},
      {"\xef\xbb\xbfk = 5", "5"},
  }));
  CAPTURE(row.line);
  const ConfigFile file = parse_config_file(row.line);
  CHECK(file.faults.empty());
  REQUIRE(file.entries.size() == 1);
  CHECK(file.entries[0].key == "k");
  CHECK(file.entries[0].value == row.value);
}

TEST_CASE("a line of the file that is not key = value is a fault with a reason") {
  const auto row = GENERATE(values<Reading>({
      {"just words", "is not key = value"},
      {"[section]", "there are no sections"},
      {"[[list]]", "there are no sections"},
      {"= 5", "is not a key"},
      {"a b = 5", "is not a key"},
      {"k =", "the value is missing"},
      {"k = # nothing", "the value is missing"},
      {"k = \"open", "the closing quote is missing"},
      {"k = 'open\"", "the closing quote is missing"},
      {"k = \"open\\", "is followed by one of"},
      {"k = \"\\u00e9\"", "is followed by one of"},
      {"k = 5 6", "follows the value"},
      {"k = \"5\" 6", "follows the value"},
      {"k = 5;", "follows the value"},
      {"k = \"\"\"three\"\"\"", "follows the value"},
      {"k = [1, 2]", "cannot start a value"},
      {"k = {a = 1}", "cannot start a value"},
      {"k = \"a\x01\"", "a control character"},
      {std::string("k = \0", 5), "a control character"},
  }));
  CAPTURE(row.line);
  const ConfigFile file = parse_config_file("\n" + row.line + "\nlast = 1\n");
  REQUIRE(file.faults.size() == 1);
  CHECK(file.faults[0].line == 2);
  CHECK(file.faults[0].why.find(row.value) != std::string::npos);
  REQUIRE(file.entries.size() == 1);  // reading goes on after a fault
  CHECK(file.entries[0].line == 3);
}

TEST_CASE("an empty file and one with nothing but comments say nothing") {
  for (const char* text : {"", "\n", "\n\n#\n", "# k = 5", "  # k = 5\r\n\r\n"}) {
    const ConfigFile file = parse_config_file(text);
    CHECK(file.entries.empty());
    CHECK(file.faults.empty());
  }
}

TEST_CASE("a key that stands in the file twice is a fault that names both lines") {
  const ConfigFile file = parse_config_file("k = 1\n\nk = 2\n");
  REQUIRE(file.faults.size() == 1);
  CHECK(file.faults[0].line == 3);
  CHECK(file.faults[0].why == "k was given already in line 1");
  CHECK(file.entries.size() == 1);
}

}  // namespace
}  // namespace sc::config
