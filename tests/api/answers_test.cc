#include <nlohmann/json.hpp>

#include "api/json.h"
#include "api/problem.h"
#include "support/catch.h"

namespace sc::api {
namespace {

using nlohmann::json;

TEST_CASE("every kind of error has a status of its own and a problem for a body") {
  struct Row {
    base::Errc code;
    int status;
  };
  const Row rows[] = {{base::Errc::invalid, 422},   {base::Errc::not_found, 404},
                      {base::Errc::conflict, 409},  {base::Errc::unauthorized, 401},
                      {base::Errc::forbidden, 403}, {base::Errc::unavailable, 503},
                      {base::Errc::internal, 500}};
  for (const Row& row : rows) {
    const http::Response response = problem(base::Error{row.code, "because"});
    CHECK(response.status == row.status);
    CHECK(response.content_type == "application/problem+json");
    const json body = json::parse(response.body);
    CHECK(body["status"] == row.status);
    CHECK(body["detail"] == "because");
    CHECK_FALSE(body["title"].get<std::string>().empty());
  }
}

TEST_CASE("a 401 names a scheme") {
  const http::Response response = problem(401, "who are you");
  CHECK(*http::find_header(response.headers, "www-authenticate") == "Bearer");
}

TEST_CASE("who may not use the API does not keep a connection to it") {
  CHECK(problem(401, "who are you").close);
  CHECK(problem(base::Error{base::Errc::forbidden, "no"}).close);
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
  CHECK(json::parse(legacy_streams_json({stream})) ==
        json::parse(R"([{"listen": 9000, "proxy_pass": "[::1]:22"}])"));
  CHECK(json::parse(legacy_streams_json({})) == json::array());
}

TEST_CASE("a message that is not UTF-8 still makes valid JSON") {
  CHECK_NOTHROW(json::parse(legacy_error_json("\xff\xfe")));
  CHECK_NOTHROW(json::parse(problem_json(400, "Bad Request", "\x80")));
}

}  // namespace
}  // namespace sc::api
