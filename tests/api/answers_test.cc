#include <nlohmann/json.hpp>

#include "api/json.h"
#include "api/problem.h"
#include "support/catch.h"

namespace sc::api {
namespace {

using nlohmann::json;

TEST_CASE("every kind of error has a type and a status, and a problem for a body") {
  struct Row {
    base::Errc code;
    int status;
    const char* name;
  };
  const Row rows[] = {
      {base::Errc::invalid, 422, "invalid-field"},
      {base::Errc::not_found, 404, "not-found"},
      {base::Errc::conflict, 409, "port-has-stream"},
      {base::Errc::in_use, 409, "port-in-use"},
      {base::Errc::loop, 422, "loop"},
      {base::Errc::precondition, 412, "precondition-failed"},
      {base::Errc::unauthorized, 401, "unauthorized"},
      {base::Errc::forbidden, 403, "forbidden"},
      {base::Errc::privilege, 403, "privileged-port"},
      {base::Errc::unavailable, 503, "unavailable"},
      {base::Errc::internal, 500, "internal"},
  };
  for (const Row& row : rows) {
    const http::Response response = problem(base::Error{row.code, "because", {}}, "r1");
    CHECK(response.status == row.status);
    CHECK(response.content_type == "application/problem+json");
    const json body = json::parse(response.body);
    CHECK(body["status"] == row.status);
    CHECK(body["detail"] == "because");
    CHECK(body["type"] == "urn:stream-conductor:problem:" + std::string(row.name));
    CHECK(body["request_id"] == "r1");
    CHECK_FALSE(body["title"].get<std::string>().empty());
  }
}

TEST_CASE("a status alone has a type too") {
  for (const int status :
       {400, 401, 403, 404, 405, 406, 408, 413, 414, 415, 422, 429, 431, 500, 501, 503, 505}) {
    const http::Response response = problem(status, "because");
    CHECK(response.status == status);
    CHECK(json::parse(response.body)["status"] == status);
  }
  CHECK(json::parse(problem(414, "long").body)["type"] ==
        "urn:stream-conductor:problem:uri-too-long");
  CHECK(json::parse(problem(418, "odd").body)["type"] ==
        "urn:stream-conductor:problem:malformed-request");
}

TEST_CASE("a wrong field has its pointer, and each one its detail") {
  const json one =
      json::parse(problem(base::Error{base::Errc::invalid, "label is long", "/label"}).body);
  CHECK(one["pointer"] == "/label");
  CHECK(one["errors"] == json::parse(R"([{"pointer": "/label", "detail": "is long"}])"));
  const json two = json::parse(answer(invalid_fields({{"/a", "is b"}, {"/c", "is d"}})).body);
  CHECK(two["detail"] == "/a: is b");
  CHECK(two["errors"].size() == 2);
}

TEST_CASE("a 401 names a scheme") {
  const http::Response response = problem(401, "who are you");
  CHECK(*http::find_header(response.headers, "www-authenticate") == "Bearer");
}

TEST_CASE("who may not use the API does not keep a connection to it") {
  CHECK(problem(401, "who are you").close);
  CHECK(problem(base::Error{base::Errc::forbidden, "no", {}}).close);
  CHECK_FALSE(problem(base::Error{base::Errc::privilege, "no", {}}).close);
  CHECK_FALSE(problem(404, "what").close);
}

TEST_CASE("the range is shown as the original did and as its manual said") {
  const json one = json::parse(legacy_status_json(*core::PortRanges::parse("9000-9009")));
  CHECK(one == json{{"version", "0.1"},
                    {"available_ports", "range(9000, 9009)"},
                    {"range", "range(9000-9009)"}});
  const json two = json::parse(legacy_status_json(*core::PortRanges::parse("9000-9009,8080")));
  CHECK(two["available_ports"] == "range(8080, 8080), range(9000, 9009)");
  CHECK(two["range"] == "range(8080,9000-9009)");
}

TEST_CASE("streams are listed with the original's keys") {
  core::Stream stream;
  stream.spec = *core::make_spec("9000", "[::1]:22");
  CHECK(json::parse(legacy_streams_json({{stream.spec.port, stream}})) ==
        json::parse(R"([{"listen": 9000, "proxy_pass": "[::1]:22"}])"));
  CHECK(json::parse(legacy_streams_json({})) == json::array());
}

TEST_CASE("a message that is not UTF-8 still makes valid JSON") {
  CHECK_NOTHROW(json::parse(legacy_error_json("\xff\xfe")));
  CHECK_NOTHROW(json::parse(problem(400, "\x80").body));
}

}  // namespace
}  // namespace sc::api
