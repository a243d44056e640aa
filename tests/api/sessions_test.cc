#include <chrono>
#include <string>

#include "api/served_v1.h"
#include "support/catch.h"

namespace sc::test {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

core::RunningSession running(core::SessionId id, std::uint16_t port = 9000) {
  core::RunningSession session;
  session.id = id;
  session.port = port;
  session.client = "10.0.0.1:5000";
  session.backend = {"db", 2000};
  return session;
}

core::EndedSession refused() {
  core::EndedSession session;
  session.id = 4711;
  session.port = 9000;
  session.client = "127.0.0.1:5000";
  session.backend = {"db", 2000};
  session.reason = core::EndReason::backend_refused;
  session.phase = core::SessionPhase::connect;
  session.error = ECONNREFUSED;
  session.resolved_after = 1500us;
  session.ended_after = 2030us;
  session.tried = {{"10.1.0.1:2000", core::DialAttempt::Result::failed, ECONNREFUSED, 300us}};
  return session;
}

struct SessionsFixture : ServedV1 {
  SessionsFixture() { on.create_now(spec(9000, "db:2000")); }
  json get(const std::string& path) {
    const Answer answer = ask("GET", path);
    CHECK(answer.status == 200);
    return json::parse(answer.body, nullptr, false);
  }
};

TEST_CASE_METHOD(SessionsFixture, "a query for sessions is what the parameters say") {
  sessions.running = {running(7)};
  const json list =
      get("/v1/sessions?port=9000&client=::1&min_age=30s&min_bytes=5&limit=7&cursor="
          "18446744073709551615");
  CHECK(list["sessions"].size() == 1);
  CHECK(list["next_cursor"].is_null());
  CHECK(list["missing_workers"] == json::array());
  const core::SessionQuery& query = sessions.queries.back();
  CHECK(query.port == 9000);
  CHECK(query.client == "::1");
  CHECK(query.min_age == 30s);
  CHECK(query.min_bytes == 5);
  CHECK(query.limit == 7);
  CHECK(query.before == 18446744073709551615U);
  get("/v1/sessions");
  CHECK(sessions.queries.back().limit == 100);
  CHECK_FALSE(sessions.queries.back().before);
}

TEST_CASE_METHOD(SessionsFixture, "a parameter of sessions that is wrong is refused") {
  for (const char* wrong :
       {"port=0", "client=localhost", "client=10.0.0.1:80", "min_age=5", "min_bytes=-1", "limit=0",
        "limit=1001", "cursor=0", "cursor=x", "state=dialing"}) {
    const Answer answer = ask("GET", "/v1/sessions?" + std::string(wrong));
    CHECK(answer.status == 400);
    CHECK(type_of(answer) == "urn:stream-conductor:problem:malformed-request");
  }
  CHECK(sessions.queries.empty());
}

TEST_CASE_METHOD(SessionsFixture, "a page of sessions names the next one") {
  sessions.running = {running(9), running(7)};
  sessions.next_page = 7;
  const Answer answer = ask("GET", "/v1/sessions?port=9000&limit=2");
  CHECK(json::parse(answer.body)["next_cursor"] == "7");
  CHECK(answer.header_or_none("link") == "</v1/sessions?port=9000&limit=2&cursor=7>; rel=\"next\"");
}

TEST_CASE_METHOD(SessionsFixture,
                 "of a session everything is told, and null where there is nothing") {
  core::RunningSession session = running(18446744073709551615U);
  session.age = 1234ms;
  session.is_kept = true;
  sessions.running = {session};
  sessions.client_socket = core::SocketFacts{};
  sessions.client_socket->state = "established";
  sessions.client_socket->rtt = 45us;
  sessions.client_socket->unsent = 3;
  sessions.tried = refused().tried;
  const json told = get("/v1/sessions/18446744073709551615");
  CHECK(told["id"] == "18446744073709551615");  // more than a double tells
  CHECK(told["state"] == "dialing");
  CHECK(told["backend"] == "db:2000");
  CHECK(told["address"].is_null());
  CHECK(told["age_ms"] == 1234);
  CHECK(told["connected_after_ms"].is_null());
  CHECK(told["durable"] == true);
  CHECK(told["client_socket"]["rtt_ms"] == 0.045);
  CHECK(told["client_socket"]["unsent"] == 3);
  CHECK(told["backend_socket"].is_null());
  CHECK(told["tried"][0]["error"] == "ECONNREFUSED");
  for (const char* id : {"1", "0", "x", "-1", "18446744073709551616"})
    CHECK(ask("GET", "/v1/sessions/" + std::string(id)).status == 404);
}

TEST_CASE_METHOD(SessionsFixture, "failures are told in words, of streams that there are") {
  sessions.failed.sessions = {refused()};
  sessions.failed.groups = {{core::EndReason::backend_refused,
                             "10.1.0.1:2000",
                             ECONNREFUSED,
                             3,
                             base::WallTime(1s),
                             base::WallTime(61s),
                             {5}}};
  const json told = get("/v1/streams/9000/failures");
  CHECK(told["groups"] == json::array({{{"reason", "backend_refused"},
                                        {"fault", "backend"},
                                        {"address", "10.1.0.1:2000"},
                                        {"error", "ECONNREFUSED"},
                                        {"count", 3},
                                        {"first", "1970-01-01T00:00:01.000Z"},
                                        {"last", "1970-01-01T00:01:01.000Z"},
                                        {"sessions", {"5"}}}}));
  CHECK(told["port"] == 9000);
  const json& failure = told["failures"].at(0);
  CHECK(failure["reason"] == "backend_refused");
  CHECK(failure["fault"] == "backend");
  CHECK(failure["phase"] == "connect");
  CHECK(failure["error"] == "ECONNREFUSED");
  CHECK(failure["message"] == core::in_words(refused()));
  CHECK(failure["resolved_after_ms"] == 1.5);
  CHECK(failure["connected_after_ms"].is_null());
  CHECK(failure["ended_after_ms"] == 2.03);
  CHECK(failure["tried"][0]["took_ms"] == 0.3);
  CHECK(ask("GET", "/v1/streams/9001/failures").status == 404);
  CHECK(ask("GET", "/v1/streams/x/failures").status == 404);
}

TEST_CASE_METHOD(SessionsFixture,
                 "how sessions of a stream ended is counted in the stream's JSON") {
  on.plane.carried[9000].ended.at(static_cast<std::size_t>(core::EndReason::killed)) = 2;
  CHECK(get("/v1/streams/9000")["ended"] == json{{"killed", 2}});
  CHECK(get("/v1/streams")["streams"][0]["ended"] == json{{"killed", 2}});
  CHECK(get("/v1/streams?as_of=2026-11-01T14:03:00Z")["streams"][0]["ended"].is_null());
}

TEST_CASE_METHOD(SessionsFixture,
                 "a session is killed by who may change its port, and by nobody else") {
  sessions.running = {running(7), running(8, 9001)};
  caller = {"token ci", core::Role::operator_, *core::PortRanges::parse("9001")};
  CHECK(ask("DELETE", "/v1/sessions/7").status == 403);
  CHECK(sessions.running.size() == 2);
  const Answer killed = ask("DELETE", "/v1/sessions/8");
  CHECK(killed.status == 200);
  CHECK(json::parse(killed.body)["reason"] == "killed");
  CHECK(ask("DELETE", "/v1/sessions/8").status == 404);
  caller.role = core::Role::viewer;
  CHECK(ask("DELETE", "/v1/sessions/7").status == 403);
  CHECK(ask("DELETE", "/v1/sessions/1").status == 403);  // and is not told that there is none
  CHECK(sessions.running.size() == 1);
}

TEST_CASE_METHOD(SessionsFixture, "a check tells how the backend was reached, or why it was not") {
  core::CheckReport report;
  report.reason = core::EndReason::backend_unresolved;
  report.trouble = "cannot resolve db: host not found";
  report.took = 12345us;
  sessions.report = report;
  const Answer answer = ask("POST", "/v1/streams/9000:check");
  CHECK(answer.status == 200);
  json told = json::parse(answer.body);
  CHECK(told["backend"] == "db:2000");
  CHECK(told["reachable"] == false);
  CHECK(told["reason"] == "backend_unresolved");
  CHECK(told["message"] == report.trouble);
  CHECK(told["took_ms"] == 12.345);
  sessions.report.is_reachable = true;
  sessions.report.addresses = {"10.0.0.1:2000", "[::1]:2000"};
  told = json::parse(ask("POST", "/v1/streams/9000:check").body);
  CHECK(told["reason"].is_null());
  CHECK(told["addresses"] == json{"10.0.0.1:2000", "[::1]:2000"});
  CHECK(ask("POST", "/v1/streams/9001:check").status == 404);
  CHECK(ask("GET", "/v1/streams/9000:check").status == 405);
  CHECK(ask("POST", "/v1/streams/9000:check", "{}").status == 400);
  caller.role = core::Role::viewer;
  CHECK(ask("POST", "/v1/streams/9000:check").status == 403);
}

TEST_CASE_METHOD(SessionsFixture, "a stream alone shows what its backend's name was resolved to") {
  CHECK(get("/v1/streams/9000")["resolution"].is_null());
  CHECK_FALSE(get("/v1/streams")["streams"][0].contains("resolution"));
  core::Resolution resolved;
  resolved.name = "db";
  resolved.source = "dns";
  resolved.addresses = {"10.1.0.1", "2001:db8::1"};
  resolved.age = 1500ms;
  resolved.ttl = 60s;
  resolved.is_stale = true;
  resolved.failed_at = base::WallTime(1ms);
  resolved.last_failure = "no DNS server answered";
  sessions.resolved = resolved;
  const json told = get("/v1/streams/9000")["resolution"];
  CHECK(told == json{{"name", "db"},
                     {"source", "dns"},
                     {"addresses", {"10.1.0.1", "2001:db8::1"}},
                     {"age_ms", 1500},
                     {"ttl_s", 60},
                     {"stale", true},
                     {"failure", nullptr},
                     {"last_failure_at", "1970-01-01T00:00:00.001Z"},
                     {"last_failure", "no DNS server answered"}});
  sessions.report.resolution = resolved;
  CHECK(json::parse(ask("POST", "/v1/streams/9000:check").body)["resolution"] == told);
}

TEST_CASE_METHOD(SessionsFixture, "so many checks are made at a time, more have to wait") {
  sessions.holds_checks = true;
  for (std::size_t i = 1; i <= 16; ++i) {
    served.connect().send("POST /v1/streams/9000:check HTTP/1.1\r\nHost: localhost\r\n\r\n");
    REQUIRE(served.turn_until([&] { return sessions.checks.size() == i; }));
  }
  const Answer refused = ask("POST", "/v1/streams/9000:check");
  CHECK(refused.status == 503);
  CHECK(refused.header_or_none("retry-after") != "(none)");
  sessions.checks.front()({});
  sessions.holds_checks = false;
  CHECK(ask("POST", "/v1/streams/9000:check").status == 200);
}

TEST_CASE_METHOD(SessionsFixture,
                 "threads that do not answer are named, and their sessions are 503") {
  sessions.running = {running(7)};
  sessions.silent = {"worker-1"};
  const json list = get("/v1/sessions");
  CHECK(list["sessions"].size() == 1);
  CHECK(list["missing_workers"] == json::array({"worker-1"}));
  for (const char* method : {"GET", "DELETE"}) {
    const Answer answer = ask(method, "/v1/sessions/7");
    CHECK(answer.status == 503);
    CHECK(json::parse(answer.body)["detail"] == "no answer");
  }
}

}  // namespace
}  // namespace sc::test
