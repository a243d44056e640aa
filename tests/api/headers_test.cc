#include <array>
#include <string>
#include <vector>

#include "api/etag.h"
#include "api/header_list.h"
#include "api/negotiation.h"
#include "api/query.h"
#include "core/conductor_fixture.h"
#include "support/catch.h"

namespace sc::api {
namespace {

http::Request with(std::vector<http::Header> headers) {
  http::Request request;
  request.headers = std::move(headers);
  return request;
}

TEST_CASE("a list is read from all lines of its field, and commas in quotes are none") {
  const http::Request request =
      with({{"If-Match", R"("a,b" , , W/"c")"}, {"X", "y"}, {"if-match", "\t\"d\""}});
  const auto list = header_list(request, "If-Match");
  REQUIRE(list);
  CHECK(*list == std::vector<std::string_view>{"\"a,b\"", "W/\"c\"", "\"d\""});
  CHECK(header_list(with({}), "If-Match")->empty());
  CHECK_FALSE(header_list(with({{"If-Match", "\"a"}}), "If-Match"));
}

TEST_CASE("the most specific range of Accept decides, and a weight of 0 excludes") {
  struct Row {
    const char* accept;
    bool is_served;
  };
  const Row rows[] = {
      {"*/*", true},
      {"application/json", true},
      {"APPLICATION/JSON", true},
      {"application/json;charset=utf-8", true},
      {"application/*;q=0.001", true},
      {"text/html,application/xhtml+xml,*/*;q=0.8", true},
      {"application/problem+json", true},
      {"*/*;q=0, application/json;q=0.1", true},
      {"", true},
      {"text/html", false},
      {"*/*;q=0", false},
      {"*/*; q=0.000", false},
      {"application/*;q=0, */*;q=1", false},
      {"application/json;q=0", false},
      {"application/json;q=0, application/problem+json;q=0, */*", false},
      {"text/html, application/json;q=2", false},
      {"text/html, application/json;q=0.0000", false},
      {"text/html, nonsense", false},
      {"nonsense", true},
      {"application/json;q=2", true},
      {"*", true},
      {"*;q=0", false},
      {"application/json;q=.9", true},
      {"text/html, \"", true},
      {"text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", true},  // the JDK's default
      {"application/jsonp", false},
      // No media range: ignored.
      {"*/*/*", true},
      {"/", true},
      {"*/json", true},
      {"application/", true},
      {"/json", true},
      {"text/html, application/", false},
  };
  for (const Row& row : rows) {
    INFO(row.accept);
    CHECK(!check_accept(with({{"Accept", row.accept}})) == row.is_served);
  }
  CHECK_FALSE(check_accept(with({})));
  CHECK_FALSE(check_accept(with({{"Accept", "text/html"}, {"Accept", "application/json"}})));
}

TEST_CASE("of several types the one that Accept likes best is chosen, its version looked at") {
  static constexpr std::array<OfferedType, 2> kOffered{
      {{"text/plain", "0.0.4"}, {"application/openmetrics-text", "1.0.0"}}};
  struct Row {
    const char* accept;
    int chosen;  // -1: none
  };
  const Row rows[] = {
      {"*/*", 0},
      {"", 0},
      {"text/plain", 0},
      {"text/*", 0},
      {"application/openmetrics-text", 1},
      {"application/openmetrics-text;q=0.5, text/plain;q=0.4", 1},
      {"application/openmetrics-text;q=0.4, text/plain;q=0.5", 0},
      {"application/openmetrics-text;q=0.5, */*;q=0.5", 0},
      // As Prometheus 2 and 3 ask.
      {"application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;"
       "q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
       1},
      {"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
       "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;"
       "escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
       1},
      {"application/openmetrics-text;version=0.0.1, text/plain;version=0.0.4;q=0.5", 0},
      {"application/openmetrics-text;version=2.0.0", -1},
      {"text/plain;version=1.0.0", -1},
      {"application/json", -1},
      {"*/*;q=0", -1},
  };
  for (const Row& row : rows) {
    INFO(row.accept);
    const auto chosen = choose_type(with({{"Accept", row.accept}}), kOffered);
    CHECK((chosen ? static_cast<int>(*chosen) : -1) == row.chosen);
    if (!chosen) CHECK(chosen.error().type == ProblemType::not_acceptable);
  }
  CHECK(*choose_type(with({}), kOffered) == 0);
}

TEST_CASE("a body is JSON in UTF-8, and says so") {
  static constexpr std::array<std::string_view, 1> kJson{"application/json"};
  for (const char* good : {"application/json", "Application/JSON", "application/json;charset=UTF-8",
                           "application/json ; charset=\"utf-8\"", "application/json; v=1"}) {
    INFO(good);
    CHECK_FALSE(check_content_type(with({{"Content-Type", good}}), kJson));
  }
  for (const char* bad : {"", "text/plain", "application/json; charset=latin1", "json",
                          "application/jsonx", "application/json; charset=\"utf-8"}) {
    INFO(bad);
    const auto refused = check_content_type(with({{"Content-Type", bad}}), kJson);
    REQUIRE(refused);
    CHECK(refused->type == ProblemType::unsupported_media_type);
  }
  CHECK(check_content_type(with({}), kJson));
}

TEST_CASE("If-Match compares strongly, If-None-Match weakly") {
  const std::string tag = "\"5f\"";
  struct Row {
    const char* name;
    const char* value;
    bool may_where_there;
    bool may_where_not;
  };
  const Row rows[] = {
      {"If-Match", "*", true, false},
      {"If-Match", "\"5f\"", true, false},
      {"If-Match", "\"a\", \"5f\"", true, false},
      {"If-Match", "W/\"5f\"", false, false},
      {"If-Match", "\"a\"", false, false},
      {"If-None-Match", "*", false, true},
      {"If-None-Match", "\"5f\"", false, true},
      {"If-None-Match", "W/\"5f\"", false, true},
      {"If-None-Match", "\"a\"", true, true},
  };
  for (const Row& row : rows) {
    INFO(row.name << ": " << row.value);
    const auto conditions = Conditions::read(with({{row.name, row.value}}));
    REQUIRE(conditions);
    CHECK(conditions->check(tag).has_value() == row.may_where_there);
    CHECK(conditions->check(std::nullopt).has_value() == row.may_where_not);
  }
  CHECK(Conditions::read(with({}))->check(tag));
  CHECK(Conditions::read(with({}))->check(std::nullopt));
  for (const char* bad : {"", "5f", "\"5f", "*, \"5f\"", "\"a\"b\"", "w/\"5f\""}) {
    INFO(bad);
    CHECK_FALSE(Conditions::read(with({{"If-Match", bad}})));
  }
}

TEST_CASE("a tag changes with every field, and not with what is carried") {
  core::Stream stream;
  stream.spec = test::spec(9000);
  const std::string tag = tag_of(stream);
  const auto changed = [&](auto change) {
    core::Stream other = stream;
    change(other);
    return tag_of(other) != tag;
  };
  CHECK_FALSE(changed([](core::Stream&) {}));
  CHECK(changed([](core::Stream& s) { s.spec.port = 9001; }));
  CHECK(changed([](core::Stream& s) { s.spec.backend.host = "x"; }));
  CHECK(changed([](core::Stream& s) { s.spec.backend.port = 2; }));
  CHECK(changed([](core::Stream& s) { s.spec.listen_address = "::1"; }));
  CHECK(changed([](core::Stream& s) { s.spec.label = "x"; }));
  CHECK(changed([](core::Stream& s) { s.spec.note = "x"; }));
  CHECK(changed([](core::Stream& s) { s.spec.owner = "x"; }));
  CHECK(changed([](core::Stream& s) { s.spec.enabled = false; }));
  CHECK(changed([](core::Stream& s) { s.spec.expires_at = base::WallTime{}; }));
  CHECK(changed([](core::Stream& s) { s.spec.max_sessions = 1; }));
  CHECK(changed([](core::Stream& s) { s.spec.connect_timeout = std::chrono::seconds(1); }));
  CHECK(changed([](core::Stream& s) { s.spec.idle_timeout = std::chrono::seconds(0); }));
  CHECK(changed([](core::Stream& s) { s.spec.lifetime = std::chrono::seconds(0); }));
  CHECK(changed([](core::Stream& s) { s.spec.durable = core::Durability::off; }));
  CHECK(changed([](core::Stream& s) { s.state = core::StreamState::failed; }));
  CHECK(changed([](core::Stream& s) { s.reason = "x"; }));
  CHECK(changed([](core::Stream& s) { s.updated_at += std::chrono::milliseconds(1); }));
  CHECK(changed([](core::Stream& s) { s.revision = 2; }));
  core::Stream label = stream;
  label.spec.label = "x";
  core::Stream note = stream;
  note.spec.note = "x";
  CHECK(tag_of(label) != tag_of(note));
}

TEST_CASE("a query has the parameters that there are, each once") {
  http::Request request;
  const auto read = [&](const char* query) {
    request.query = query;
    return Query::read(request, {"a", "b"});
  };
  REQUIRE(read("a=1&b=x%20y"));
  CHECK(read("a=1&b=x%20y")->text("b") == "x y");
  CHECK_FALSE(read("")->text("a"));
  CHECK(*read("a=7")->number("a", 1, 10) == std::optional<std::uint64_t>(7));
  CHECK_FALSE(read("a=11")->number("a", 1, 10));
  CHECK(*read("a=true")->boolean("a"));
  CHECK_FALSE(*read("")->boolean("a"));
  CHECK_FALSE(read("a=1")->boolean("a"));
  CHECK(read("b=x+y%2B")->text("b") == "x y+");
  for (const char* query : {"a=2026-11-01T14:03:00+01:00", "a=2026-11-01T14:03:00%2B01:00"})
    CHECK(*read(query)->time("a") == *base::parse_rfc3339("2026-11-01T13:03:00Z"));
  // An error quotes the plus as it was sent.
  CHECK_THAT(read("a=2026-11-31T14:03:00+01:00")->time("a").error().detail,
             Catch::Contains("2026-11-31T14:03:00+01:00"));
  CHECK_THAT(read("c=1").error().detail, Catch::Contains("\"c\" is unknown; there are a, b"));
  CHECK_THAT(read("a=1&a=1").error().detail, Catch::Contains("more than once"));
  CHECK_FALSE(read("a=%"));
}

TEST_CASE("the next page is asked for by the same parameters and another cursor") {
  http::Request request;
  request.query = "label=a%26b%3e&cursor=1&limit=2";
  const auto query = Query::read(request, {"label", "cursor", "limit"});
  REQUIRE(query);
  CHECK(query->next_page("/v1/streams", "9001") ==
        "/v1/streams?label=a%26b%3E&limit=2&cursor=9001");
}

}  // namespace
}  // namespace sc::api
