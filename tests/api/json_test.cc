#include <chrono>
#include <string>

#include "api/json_input.h"
#include "api/json_output.h"
#include "api/json_reader.h"
#include "api/json_writer.h"
#include "core/conductor_fixture.h"
#include "support/catch.h"

namespace sc::api {
namespace {

constexpr base::WallTime kNow{std::chrono::milliseconds{1'793'541'780'000}};

TEST_CASE("JSON is read as it stands, up to its limits") {
  const auto read = read_json(R"( {"a": [1, -2, 3.5, true, null, "xé\u0041"], "b": {}} )");
  REQUIRE(read);
  CHECK(read->dump() == R"({"a":[1,-2,3.5,true,null,"xéA"],"b":{}})");
  CHECK(read_json("9223372036854775807"));
  CHECK(read_json("-9223372036854775808"));
  CHECK(read_json("1e308"));
  CHECK(read_json(std::string(32, '[') + std::string(32, ']')));
}

TEST_CASE("what parsers disagree about is refused, with its place") {
  struct Row {
    std::string text;
    const char* place;
  };
  const Row rows[] = {
      {"", "byte 0"},
      {" ", "byte 2"},
      {"{\"a\":1,}", "byte 8"},
      {"[1,]", "byte 4"},
      {"{\"a\":1}{", "byte 8"},
      {"\"\xc0\xaf\"", "byte 2"},
      {"\"\xed\xa0\x80\"", "byte 3"},
      {"\"a\tb\"", "byte 3"},
      {"01", "byte 2"},
      {"+1", "byte 1"},
      {"-", "byte 2"},
      {"1e999", "byte 5"},
      {"Infinity", "byte 1"},
      {"[9223372036854775808]", "\"/0\""},
      {"[0, -9223372036854775809]", "\"/1\""},
      {R"({"a": {"b": 1, "b": 1}})", "\"/a/b\""},
      {R"([0, [{}, {"~/": 1, "~/": 1}]])", "\"/1/1/~0~1\""},
      {R"({"a": 1, "\u0061": 1})", "\"/a\""},
      {std::string(33, '[') + std::string(33, ']'), "32 levels"},
  };
  for (const Row& row : rows) {
    INFO(row.text);
    const auto read = read_json(row.text);
    REQUIRE_FALSE(read);
    CHECK(read.error().type == ProblemType::malformed_json);
    CHECK_THAT(read.error().detail, Catch::Contains(row.place));
  }
}

TEST_CASE("what a fault quotes stays short") {
  const auto read = read_json("\"" + std::string(100'000, 'x'));
  REQUIRE_FALSE(read);
  CHECK(read.error().detail.size() < 500);
}

TEST_CASE("a text of any bytes becomes a valid JSON string") {
  const auto written = [](std::string_view text) {
    return std::move(JsonWriter().string(text)).take();
  };
  CHECK(written("a\"\\\n\t\x01\x7f/") == "\"a\\\"\\\\\\n\\t\\u0001\x7f/\"\n");
  CHECK(written("\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\x98") ==
        "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\x98\"\n");
  for (const char* bad : {"\xff", "\xc0\xaf", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                          "\xf5\x80\x80\x80", "\xc3", "\xe2\x82", "a\x80z"}) {
    INFO(bad);
    CHECK_NOTHROW(Json::parse(written(bad)));
  }
  CHECK(written("\xe2\x82z") == "\"\xEF\xBF\xBDz\"\n");
}

TEST_CASE("a stream that was answered is read as the same stream") {
  core::StreamSpec spec = test::spec(9000, "[::1]:22");
  spec.listen_address = "127.0.0.1";
  spec.label = "web";
  spec.note = "a \"note\"\nof two lines";
  spec.owner = "ops";
  spec.enabled = false;
  spec.expires_at = kNow + std::chrono::hours(1);
  spec.max_sessions = 7;
  spec.connect_timeout = std::chrono::seconds(3);
  spec.idle_timeout = std::chrono::milliseconds(0);
  spec.lifetime = std::chrono::hours(12);
  spec.durable = core::Durability::early;
  core::Stream stream;
  for (const core::StreamSpec& each : {spec, test::spec(9000)}) {
    stream.spec = each;
    const auto read = read_stream(stream_json({stream, {}}), 9000, {kNow, {}});
    REQUIRE(read);
    CHECK(*read == each);
    const auto list =
        read_stream_list(stream_list_json(std::vector<View>{{stream, {}}}, ""), {kNow, {}});
    REQUIRE(list);
    CHECK(*list == std::vector<core::StreamSpec>{each});
  }
}

TEST_CASE("a patch has what it names, and null is the default") {
  const auto none = read_patch("{}", 9000, {kNow, {}});
  REQUIRE(none);
  CHECK(*none == core::StreamPatch{});
  const auto all = read_patch(R"({"listen_address": null, "label": null, "enabled": null,
      "expires_at": null, "max_sessions": null, "connect_timeout": null, "idle_timeout": null,
      "lifetime": null, "durable": null, "port": 9000})",
                              9000, {kNow, {}});
  REQUIRE(all);
  core::StreamSpec changed = test::spec(9000);
  changed.label = "web";
  changed.enabled = false;
  changed.expires_at = kNow;
  changed.max_sessions = 5;
  changed.idle_timeout = std::chrono::seconds(1);
  changed.lifetime = std::chrono::milliseconds(0);
  changed.durable = core::Durability::off;
  CHECK(all->applied_to(changed) == test::spec(9000));
  CHECK_FALSE(all->backend);
  CHECK_FALSE(all->note);
}

TEST_CASE("ttl and expires_at are two ways to say one thing") {
  const auto expiry = [](const std::string& fields) {
    const auto read = read_patch("{" + fields + "}", 9000, {kNow, {}});
    REQUIRE(read);
    REQUIRE(read->expires_at);
    return *read->expires_at;
  };
  CHECK(expiry(R"("ttl": "1h")") == kNow + std::chrono::hours(1));
  CHECK(expiry(R"("ttl": "1h", "expires_at": null)") == kNow + std::chrono::hours(1));
  CHECK(expiry(R"("ttl": null)") == std::nullopt);
  CHECK(expiry(R"("ttl": null, "expires_at": "2026-11-01T15:03:00+01:00")") == kNow);
  CHECK_FALSE(
      read_patch(R"({"ttl": "1h", "expires_at": "2027-01-01T00:00:00Z"})", 9000, {kNow, {}}));
}

TEST_CASE("a body that is wrong everywhere is answered with some of its faults") {
  std::string many = "{";
  for (int i = 0; i < 1000; ++i) many += "\"x" + std::to_string(i) + "\": 1, ";
  const auto read = read_stream(many + R"("backend": "a:1"})", 9000, {kNow, {}});
  REQUIRE_FALSE(read);
  CHECK(read.error().faults.size() == 20);
  std::string list = R"({"streams": [5)";
  for (int i = 0; i < 1000; ++i) list += ", 5";
  const auto streams = read_stream_list(list + "]}", {kNow, {}});
  REQUIRE_FALSE(streams);
  CHECK(streams.error().faults.size() == 20);
  const std::string stream = R"({"port": 0, "backend": 1, "label": 1, "note": 1, "owner": 1})";
  list = R"({"streams": [)" + stream;
  for (int i = 0; i < 10; ++i) list += ", " + stream;
  const auto several = read_stream_list(list + "]}", {kNow, {}});
  REQUIRE_FALSE(several);
  CHECK(several.error().faults.size() == 20);
}

}  // namespace
}  // namespace sc::api
