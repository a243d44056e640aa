#include <nlohmann/json.hpp>
#include <string>

#include "integration/daemon_fixture.h"
#include "support/catch.h"

namespace sc::test {
namespace {

using nlohmann::json;

// What a row of the table expects of a JSON body.
enum class Body {
  same,     // equal to `body`
  why,      // {"result": "error", "errors": "<why>"}, the reason containing `body`
  problem,  // RFC 9457
};

struct Row {
  std::string request;  // P, Q, R: the range's first, second, third port; N: one outside
  int status;
  Body kind;
  std::string body;
};

struct LegacyFixture {
  std::uint16_t first = find_ten_ports();
  TempDir state;
  RunningDaemon daemon{state, first};

  // Puts the ports in for their letters, which stand between slashes, spaces or in JSON.
  std::string fill(std::string text) const {
    const std::pair<std::string, int> letters[] = {
        {"@P", first}, {"@Q", first + 1}, {"@R", first + 2}, {"@L", first + 9}, {"@N", first + 10}};
    for (const auto& [letter, port] : letters)
      for (std::size_t at = 0; (at = text.find(letter)) != std::string::npos;)
        text.replace(at, letter.size(), std::to_string(port));
    return text;
  }

  void check(const Row& row) const {
    INFO(row.request);
    const Reply reply = daemon.get(fill(row.request));
    CHECK(reply.status == row.status);
    const json body = json::parse(reply.body);
    switch (row.kind) {
      case Body::same:
        CHECK(reply.head.find("Content-Type: application/json\r\n") != std::string::npos);
        CHECK(body == json::parse(fill(row.body)));
        break;
      case Body::why:
        CHECK(body.size() == 2);
        CHECK(body["result"] == "error");
        CHECK(body["errors"].get<std::string>().find(fill(row.body)) != std::string::npos);
        break;
      case Body::problem:
        CHECK(reply.head.find("Content-Type: application/problem+json\r\n") != std::string::npos);
        CHECK(body["status"] == row.status);
        break;
    }
  }
};

const std::string kOk = R"({"result": "ok", "errors": ""})";

// In order: a row finds what those above it have done.
const Row kTable[] = {
    {"/status", 200, Body::same,
     R"json({"version": "0.1", "available_ports": "range(@P, @L)", "range": "range(@P-@L)"})json"},
    {"/getstreams", 200, Body::same, "[]"},
    {"/createstream/@P/127.0.0.1:7000", 200, Body::same, kOk},
    {"/getstreams", 200, Body::same, R"([{"listen": @P, "proxy_pass": "127.0.0.1:7000"}])"},
    {"/createstream/@P/127.0.0.1:7000", 200, Body::same, kOk},
    {"/createstream/@P/other:1", 200, Body::why, "port @P has a stream to 127.0.0.1:7000"},
    {"/getstreams", 200, Body::same, R"([{"listen": @P, "proxy_pass": "127.0.0.1:7000"}])"},
    {"/createstream/@Q/nosuchhost.invalid:22", 200, Body::same, kOk},
    {"/removestream/@Q", 200, Body::same, kOk},
    {"/createstream/@R/bad", 200, Body::why, "the port is missing"},
    {"/createstream/99999/127.0.0.1:1", 200, Body::why, "99999"},
    {"/createstream/@N/127.0.0.1:1", 200, Body::why, "@P-@L"},
    {"/createstream/abc/x:1", 404, Body::problem, ""},
    {"/createstream/@R/a%3Bb:1", 200, Body::why, "is not host:port"},
    {"/createstream/@R/a%0Ab:1", 200, Body::why, "is not host:port"},
    {"/createstream/@R/%zz:1", 400, Body::problem, ""},
    {"/createstream/@R", 404, Body::problem, ""},
    {"/hasstream/@P", 200, Body::same, R"({"result": "true"})"},
    {"/hasstream/@R", 200, Body::same, R"({"result": "false"})"},
    {"/hasstream/99999", 200, Body::same, R"({"result": "false"})"},
    {"/hasstream/abc", 404, Body::problem, ""},
    {"/getfreeport", 200, Body::same, R"({"result": "ok", "port": @Q})"},
    {"/removestream/@P", 200, Body::same, kOk},
    {"/removestream/@P", 200, Body::same, R"({"result": "error", "error": "not found"})"},
    {"/removestream/99999", 200, Body::same, R"({"result": "error", "error": "not found"})"},
    {"/nothing", 404, Body::problem, ""},
};

TEST_CASE_METHOD(LegacyFixture, "each row of the original's contract is answered as it says") {
  for (const Row& row : kTable) check(row);
}

TEST_CASE_METHOD(LegacyFixture, "other methods are 405 and told what is allowed") {
  for (const char* path : {"/status", "/getstreams", "/createstream/1/a:1", "/removestream/1",
                           "/hasstream/1", "/getfreeport"}) {
    INFO(path);
    const Reply reply = daemon.request("POST", path, "Content-Length: 0\r\n");
    CHECK(reply.status == 405);
    CHECK(reply.head.find("Allow: GET, HEAD\r\n") != std::string::npos);
  }
}

TEST_CASE_METHOD(LegacyFixture, "HEAD answers as GET does, without the body") {
  const Reply get = daemon.get("/status");
  const Reply head = daemon.request("HEAD", "/status");
  CHECK(head.status == 200);
  CHECK(head.body.empty());
  CHECK(head.head.find("Content-Length: " + std::to_string(get.body.size()) + "\r\n") !=
        std::string::npos);
}

TEST_CASE_METHOD(LegacyFixture, "HEAD of what makes a change is 405 and changes nothing") {
  check({"/createstream/@P/a:1", 200, Body::same, kOk});
  for (const char* path : {"/createstream/@Q/a:1", "/removestream/@P", "/%63reatestream/@Q/a:1"}) {
    const Reply head = daemon.request("HEAD", fill(path));
    CHECK(head.status == 405);
    CHECK(head.head.find("Allow: GET\r\n") != std::string::npos);
    CHECK(head.body.empty());
  }
  check({"/getstreams", 200, Body::same, R"([{"listen": @P, "proxy_pass": "a:1"}])"});
}

TEST_CASE_METHOD(LegacyFixture, "a link that a browser follows reads and changes nothing") {
  const std::string followed =
      "Sec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n";
  for (const char* path : {"/createstream/@P/a:1", "/removestream/@P", "/%63reatestream/@P/a:1"})
    CHECK(daemon.request("GET", fill(path), followed).status == 403);
  for (const char* path : {"/getstreams", "/status", "/v1/streams"})
    CHECK(daemon.request("GET", path, followed).status == 200);
  check({"/getstreams", 200, Body::same, "[]"});
}

TEST_CASE_METHOD(LegacyFixture, "ten ports are ten ports, and then none is available") {
  for (int i = 0; i < 10; ++i) {
    const json next = json::parse(daemon.get("/getfreeport").body);
    CHECK(next["port"] == first + i);
    check({"/createstream/" + std::to_string(first + i) + "/a:1", 200, Body::same, kOk});
  }
  check({"/getfreeport", 200, Body::same, R"({"result": "none available"})"});
}

TEST_CASE_METHOD(LegacyFixture, "a port that another program has is no free port, and no stream") {
  auto other = net::listen_tcp(net::Address::any_v4(first), {});
  REQUIRE(other);
  check({"/getfreeport", 200, Body::same, R"({"result": "ok", "port": @Q})"});
  check({"/createstream/@P/a:1", 200, Body::why, "EADDRINUSE"});
  check({"/getstreams", 200, Body::same, "[]"});
}

TEST_CASE_METHOD(LegacyFixture, "a web page of another site changes nothing") {
  const std::string create = fill("/createstream/@P/127.0.0.1:1");
  for (const char* header : {"Sec-Fetch-Site: cross-site\r\n", "Origin: http://evil.example\r\n"})
    CHECK(daemon.request("GET", create, header).status == 403);
  check({"/getstreams", 200, Body::same, "[]"});
}

}  // namespace
}  // namespace sc::test
