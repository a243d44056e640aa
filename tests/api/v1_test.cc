#include <chrono>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "api/served_v1.h"
#include "support/catch.h"

namespace sc::test {
namespace {

using nlohmann::json;

const char* const kBody = R"({"backend": "backend:1"})";
const char* const kList = R"({"streams": [{"port": 9000, "backend": "backend:1"}]})";

std::string problem_named(const std::string& name) {
  return "urn:stream-conductor:problem:" + name;
}

TEST_CASE(
    "the document describes each endpoint, and no other one but the older six and the metrics") {
  ServedV1 v1;
  std::set<std::pair<std::string, std::string>> served;
  for (const api::Endpoint& each :
       api::v1_endpoints({v1.on.conductor, v1.on.clock, {}, {}, v1.sessions, v1.events}))
    served.emplace(each.pattern, base::to_lower(each.method));
  for (const char* other :
       {"/status", "/getstreams", "/createstream/{port}/{backend}", "/removestream/{port}",
        "/hasstream/{port}", "/getfreeport", "/metrics"})  // it is no JSON
    served.emplace(other, "get");
  std::set<std::pair<std::string, std::string>> described;
  const json document = json::parse(api::openapi_document());
  for (const auto& [path, item] : document["paths"].items())
    for (const auto& [verb, operation] : item.items())
      if (verb != "parameters") described.emplace(path, verb);
  CHECK(served == described);
}

// The pointers of an answer's faults.
std::vector<std::string> pointers_of(const Answer& answer) {
  std::vector<std::string> pointers;
  const auto body = nlohmann::json::parse(answer.body);
  for (const auto& fault : body.at("errors"))
    pointers.push_back(fault.at("pointer").get<std::string>());
  return pointers;
}

TEST_CASE("one answer names the wrong types, values and addresses of a body") {
  using Pointers = std::vector<std::string>;
  const std::string wrong =
      R"("listen_address": "192.0.2.1", "max_sessions": -1, "idle_timeout": "1ms",
         "label": "a\nb", "expires_at": "2001-01-01T00:00:00Z", "nothing": 1)";
  const Pointers wanted{"/max_sessions", "/nothing",    "/label",
                        "/idle_timeout", "/expires_at", "/listen_address"};
  ServedV1 v1;
  const Answer put =
      v1.ask("PUT", "/v1/streams/9000", R"({"backend": "224.0.0.1:1", )" + wrong + "}");
  CHECK(put.status == 422);
  CHECK(ServedV1::type_of(put) == problem_named("invalid-field"));
  CHECK(pointers_of(put) == Pointers{"/max_sessions", "/nothing", "/label", "/idle_timeout",
                                     "/backend", "/expires_at", "/listen_address"});
  const Answer post =
      v1.ask("POST", "/v1/streams", R"({"backend": "a:1", "port": 8999, )" + wrong + "}");
  CHECK(pointers_of(post) == Pointers{"/max_sessions", "/nothing", "/label", "/idle_timeout",
                                      "/port", "/expires_at", "/listen_address"});
  const Answer anywhere = v1.ask("POST", "/v1/streams", R"({"backend": "a:1", )" + wrong + "}");
  CHECK(pointers_of(anywhere) == wanted);
  REQUIRE(v1.ask("PUT", "/v1/streams/9001", R"({"backend": "a:1"})").status == 201);
  CHECK(pointers_of(v1.ask("PATCH", "/v1/streams/9001", "{" + wrong + "}")) == wanted);
  const Answer apply = v1.ask("POST", "/v1/streams:apply",
                              R"({"streams": [{"port": 9000, "backend": "a"},)"
                              R"( {"port": 9001, "backend": "a:1", "listen_address": "ff02::1"}],)"
                              R"( "x": 1})");
  CHECK(pointers_of(apply) == Pointers{"/x", "/streams/0/backend", "/streams/1/listen_address"});
  CHECK(pointers_of(v1.ask("POST", "/v1/drain", R"({"timeout": "2d", "x": 1})")) ==
        Pointers{"/timeout", "/x"});
}

TEST_CASE("the filter of backends finds a host however it is written") {
  ServedV1 v1;
  v1.on.create_now(spec(9000, "DB.example:1"));
  v1.on.create_now(spec(9001, "[2001:db8::1]:1"));
  const auto found = [&](const std::string& backend) {
    const auto body = json::parse(v1.ask("GET", "/v1/streams?backend=" + backend).body);
    return body["streams"].size() == 1 ? body["streams"][0]["port"].get<int>() : 0;
  };
  CHECK(found("db.Example.:1") == 9000);
  CHECK(found("%5B2001:DB8:0:0::1%5D:1") == 9001);
  CHECK(found("db.example:2") == 0);
}

TEST_CASE("values that are wrong alone are named together too") {
  ServedV1 v1;
  const Answer put =
      v1.ask("PUT", "/v1/streams/9000",
             R"({"backend": "a:1", "listen_address": "192.0.2.1", "label": "a\nb"})");
  CHECK(put.status == 422);
  CHECK(pointers_of(put) == std::vector<std::string>{"/label", "/listen_address"});
}

TEST_CASE("a viewer reads everything and changes nothing") {
  ServedV1 v1;
  v1.on.create_now(spec(9000));
  v1.caller.role = core::Role::viewer;
  for (const char* path : {"/v1/streams", "/v1/streams/9000", "/v1/history", "/v1/status",
                           "/readyz", "/healthz", "/openapi.json"})
    CHECK(v1.ask("GET", path).status == 200);
  const Answer refused[] = {
      v1.ask("PUT", "/v1/streams/9001", kBody),
      v1.ask("PATCH", "/v1/streams/9000", R"({"note": "x"})"),
      v1.ask("DELETE", "/v1/streams/9000"),
      v1.ask("POST", "/v1/streams", kBody),
      v1.ask("POST", "/v1/streams:apply", kList),
      v1.ask("POST", "/v1/streams:apply?dry_run=true", kList),
      v1.ask("POST", "/v1/streams:restore?as_of=2026-01-01T00:00:00Z"),
      v1.ask("POST", "/v1/drain"),
      v1.ask("PUT", "/v1/streams/9001", "no json"),  // and is not told what is wrong with it
  };
  for (const Answer& answer : refused) {
    CHECK(answer.status == 403);
    CHECK(ServedV1::type_of(answer) == problem_named("forbidden"));
  }
  CHECK(v1.on.store.story() == std::vector<std::string>{"created 9000 by tester"});
}

TEST_CASE("an operator with some ports changes these alone") {
  ServedV1 v1;
  v1.on.create_now(spec(9000));
  v1.caller = {"token ci", core::Role::operator_, *core::PortRanges::parse("9001-9002")};
  CHECK(v1.ask("PUT", "/v1/streams/9001", kBody).status == 201);
  CHECK(v1.ask("PUT", "/v1/streams/9000", kBody).status == 403);
  CHECK(v1.ask("PATCH", "/v1/streams/9000", "{}").status == 403);
  CHECK(v1.ask("DELETE", "/v1/streams/9000").status == 403);
  CHECK(v1.ask("POST", "/v1/streams", R"({"port": 9000, "backend": "b:1"})").status == 403);
  const Answer anywhere = v1.ask("POST", "/v1/streams", kBody);
  CHECK(anywhere.status == 201);
  CHECK(anywhere.header_or_none("Location") == "/v1/streams/9002");
  CHECK(v1.ask("DELETE", "/v1/streams/9001").status == 204);
}

TEST_CASE("an operator's list is taken where it changes the operator's ports alone") {
  ServedV1 v1;
  v1.on.create_now(spec(9000));
  v1.caller = {"token ci", core::Role::operator_, *core::PortRanges::parse("9001-9002")};
  const std::string own = R"({"port": 9001, "backend": "backend:1"})";
  const std::string same = R"({"port": 9000, "backend": "backend:1"})";
  const std::string others = R"({"port": 9000, "backend": "elsewhere:1"})";
  const auto list = [](const std::string& one, const std::string& two) {
    return R"({"streams": [)" + one + ", " + two + "]}";
  };
  CHECK(v1.ask("POST", "/v1/streams:apply", list(own, others)).status == 403);
  CHECK(v1.on.conductor.find(9001) == nullptr);
  CHECK(v1.ask("POST", "/v1/streams:apply?mode=replace", list(own, same)).status == 403);
  CHECK(v1.ask("POST", "/v1/streams:apply", list(own, same)).status == 200);
  CHECK(v1.on.conductor.find(9001) != nullptr);
}

TEST_CASE("only who may administer replaces and restores") {
  ServedV1 v1;
  v1.caller.role = core::Role::operator_;
  CHECK(v1.ask("POST", "/v1/streams:apply?mode=replace", kList).status == 403);
  CHECK(v1.ask("POST", "/v1/streams:restore?as_of=2026-01-01T00:00:00Z").status == 403);
  CHECK(v1.ask("POST", "/v1/drain").status == 403);
  CHECK(v1.drains.empty());
  v1.caller.role = core::Role::admin;
  CHECK(v1.ask("POST", "/v1/streams:apply?mode=replace", kList).status == 200);
  CHECK(v1.ask("POST", "/v1/streams:restore?as_of=2026-01-01T00:00:00Z").status == 200);
}

TEST_CASE("the actor and the request's id are in history") {
  ServedV1 v1;
  v1.caller.name = "token ci";
  v1.ask("PUT", "/v1/streams/9000", kBody, "X-Request-Id: deploy-17\r\n");
  REQUIRE(v1.on.store.events.size() == 1);
  CHECK(v1.on.store.events[0].actor == core::Actor{"token ci", "deploy-17"});
}

TEST_CASE("a service that stops answers 503, with when to ask again") {
  ServedV1 v1;
  v1.on.create_now(spec(9000));
  v1.on.conductor.stop();
  for (const Answer& answer :
       {v1.ask("PUT", "/v1/streams/9001", kBody), v1.ask("POST", "/v1/streams", kBody),
        v1.ask("POST", "/v1/streams:apply",
               R"({"streams": [{"port": 9001, "backend": "b:1"}]})")}) {
    CHECK(answer.status == 503);
    CHECK(ServedV1::type_of(answer) == problem_named("unavailable"));
    CHECK(answer.header_or_none("Retry-After") != "(none)");
  }
  CHECK(v1.ask("GET", "/v1/streams/9000").status == 200);
}

TEST_CASE("a drain takes the time-out that is asked for, and that of the service else") {
  const std::vector<std::pair<std::string, std::optional<std::chrono::milliseconds>>> rows{
      {"", {}},
      {"{}", {}},
      {R"({"timeout": null})", {}},
      {R"({"timeout": "0"})", std::chrono::milliseconds(0)},
      {R"({"timeout": "1500ms"})", std::chrono::milliseconds(1500)},
      {R"({"timeout": "1d"})", std::chrono::days(1)},
  };
  for (const auto& [body, timeout] : rows) {
    INFO(body);
    ServedV1 v1;
    v1.facts.phase = api::ServiceFacts::Phase::draining;
    v1.facts.sessions_active = 3;
    v1.facts.drain_until = v1.on.clock.wall();
    const Answer answer = v1.ask("POST", "/v1/drain", body);
    CHECK(answer.status == 202);
    CHECK(json::parse(answer.body) == json{{"phase", "draining"},
                                           {"sessions_active", 3},
                                           {"drain_until", "2026-11-01T14:03:00.000Z"}});
    REQUIRE(v1.drains.size() == 1);
    CHECK(v1.drains.front() == std::pair(timeout, std::string("tester")));
  }
}

TEST_CASE("a drain that is asked for wrongly is none") {
  ServedV1 v1;
  const auto pointer = [&](const std::string& body) {
    const Answer answer = v1.ask("POST", "/v1/drain", body);
    CHECK(answer.status == 422);
    return json::parse(answer.body)["pointer"].get<std::string>();
  };
  for (const char* timeout :
       {"\"25h\"", "\"2d\"", "\"30\"", "\"-1s\"", "\"\"", "30", "true", "[]"}) {
    INFO(timeout);
    CHECK(pointer(R"({"timeout": )" + std::string(timeout) + "}") == "/timeout");
  }
  CHECK(pointer(R"({"time-out": "30s"})") == "/time-out");
  CHECK(pointer("5").empty());
  CHECK(v1.ask("POST", "/v1/drain", "no json").status == 400);
  CHECK(v1.ask("POST", "/v1/drain?timeout=30s").status == 400);
  CHECK(v1.ask("POST", "/v1/drain", "{}", "Content-Type: text/plain\r\n").status == 415);
  CHECK(v1.drains.empty());
}

TEST_CASE("while it drains every change is 503 before its conditions are looked at, reads work") {
  ServedV1 v1;
  v1.on.create_now(spec(9000));
  const std::string tag = v1.ask("GET", "/v1/streams/9000").header_or_none("ETag");
  CHECK(v1.ask("POST", "/v1/drain").status == 202);
  const std::string match = "If-Match: " + tag + "\r\n";
  for (const Answer& answer :
       {v1.ask("PUT", "/v1/streams/9000", kBody, match), v1.ask("PUT", "/v1/streams/9001", kBody),
        v1.ask("PATCH", "/v1/streams/9000", "{}"), v1.ask("DELETE", "/v1/streams/9000"),
        v1.ask("POST", "/v1/streams", kBody), v1.ask("POST", "/v1/streams:apply", kList),
        v1.ask("POST", "/v1/streams:apply?dry_run=true", kList),
        v1.ask("POST", "/v1/streams:restore?as_of=2026-01-01T00:00:00Z")}) {
    CHECK(answer.status == 503);
    CHECK(ServedV1::type_of(answer) == problem_named("unavailable"));
    CHECK_THAT(answer.body, Catch::Contains("draining"));
  }
  const Answer shown = v1.ask("GET", "/v1/streams/9000");
  CHECK(shown.status == 200);
  CHECK(json::parse(shown.body)["state"] == "draining");
  CHECK(v1.ask("GET", "/v1/history").status == 200);
  CHECK(v1.on.store.rows.contains(9000));
}

TEST_CASE("readiness needs every enabled stream to listen, and the service to serve") {
  ServedV1 v1;
  core::Stream failing;
  failing.spec = spec(9001);
  core::Stream disabled;
  disabled.spec = spec(9002);
  disabled.spec.enabled = false;
  v1.on.plane.taken.insert(9001);
  v1.on.boot(std::vector<core::Stream>{failing, disabled});
  const Answer failed = v1.ask("GET", "/readyz");
  CHECK(failed.status == 503);
  const json body = json::parse(failed.body);
  CHECK(body["type"] == problem_named("unavailable"));
  REQUIRE(body["not_listening"].size() == 1);
  CHECK(body["not_listening"][0]["port"] == 9001);
  v1.on.plane.taken.clear();
  v1.on.clock.advance(std::chrono::minutes(2));
  v1.on.conductor.retry_due();
  v1.on.store.answer_all();
  CHECK(v1.ask("GET", "/readyz").status == 200);
  for (const auto phase : {api::ServiceFacts::Phase::draining, api::ServiceFacts::Phase::drained}) {
    v1.facts.phase = phase;
    const Answer ending = v1.ask("GET", "/readyz");
    CHECK(ending.status == 503);
    CHECK(json::parse(ending.body)["detail"] == "the service is " + std::string(to_string(phase)));
  }
  CHECK(v1.ask("GET", "/healthz").status == 200);
}

TEST_CASE("readiness names the condition of the service that makes it unready") {
  ServedV1 v1;
  const base::WallTime since = v1.on.clock.wall();
  v1.facts.conditions = {{"log", "its reader is slow", core::Readiness::ready, since}};
  CHECK(v1.ask("GET", "/readyz").status == 200);
  v1.facts.conditions.push_back(
      {"worker-1", "it does not answer", core::Readiness::unready, since});
  const Answer refused = v1.ask("GET", "/readyz");
  CHECK(refused.status == 503);
  const json body = json::parse(refused.body);
  CHECK(body["detail"] == "worker-1: it does not answer");
  CHECK(body["degraded"].size() == 2);
  CHECK(body["degraded"][1] == json{{"component", "worker-1"},
                                    {"reason", "it does not answer"},
                                    {"ready", false},
                                    {"since", "2026-11-01T14:03:00.000Z"}});
  CHECK(json::parse(v1.ask("GET", "/v1/status").body)["degraded"] == body["degraded"]);
}

TEST_CASE("a store that fails is told as a fault of the service and changes nothing") {
  ServedV1 v1;
  v1.on.store.failure = base::Error{base::Errc::internal, "the disk is full", {}};
  const Answer answer = v1.ask("PUT", "/v1/streams/9000", kBody);
  CHECK(answer.status == 500);
  CHECK(ServedV1::type_of(answer) == problem_named("internal"));
  CHECK_THAT(answer.body, Catch::Contains("the disk is full"));
  v1.on.store.failure.reset();
  CHECK(v1.ask("GET", "/v1/streams/9000").status == 404);
}

TEST_CASE("a ttl counts from when the request came") {
  ServedV1 v1;
  const Answer answer =
      v1.ask("PUT", "/v1/streams/9000", R"({"backend": "backend:1", "ttl": "90m"})");
  CHECK(json::parse(answer.body)["expires_at"] == "2026-11-01T15:33:00.000Z");
}

TEST_CASE("HEAD tells the length and the tag of what GET answers") {
  ServedV1 v1;
  v1.on.create_now(spec(9000));
  const Answer get = v1.ask("GET", "/v1/streams/9000");
  const Answer head = v1.served.answer_to(
      v1.served.connect(), "HEAD /v1/streams/9000 HTTP/1.1\r\nHost: localhost\r\n\r\n");
  CHECK(head.header_or_none("ETag") == get.header_or_none("ETag"));
  CHECK(head.header_or_none("Content-Length") == std::to_string(get.body.size()));
}

}  // namespace
}  // namespace sc::test
