#include "api/gate.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "api/caught_log.h"
#include "api/fake_token_store.h"
#include "api/problem.h"
#include "api/routes.h"
#include "base/log.h"
#include "http/client.h"
#include "support/catch.h"

namespace sc::api {
namespace {

using std::chrono::milliseconds;

// A server whose requests come through a gate, as from `peer`, and say who was let in.
struct Gated {
  explicit Gated(Trust trust = Trust::remote) {
    AuthOptions options;
    options.trust = trust;
    gate = std::make_unique<Gate>(
        options, served.clock, book,
        [this](milliseconds delay, base::Callback<void()> function) {
          later.emplace_back(delay, std::move(function));
        },
        [this](const http::Request&, const core::Caller& caller, http::Responder responder) {
          if (refused) return responder.respond(problem(base::Error{*refused, "no", {}}));
          responder.respond(test::Served::text(caller.name));
        });
    served.handler = [this](http::Request request, http::Responder responder) {
      if (peer) request.peer = *net::Address::parse_ip(*peer, 40000);
      gate->admit(std::move(request), std::move(responder));
      store.answer();
    };
  }

  test::Answer ask(const std::string& headers, const std::string& method = "GET",
                   const std::string& path = "/x") {
    test::Client& client = served.connect();
    client.send(method + " " + path + " HTTP/1.1\r\nHost: localhost\r\n" + headers + "\r\n");
    std::optional<test::Answer> answer;
    served.turn_until([&] {
      if (answer_at_once)
        for (auto& [delay, function] : std::exchange(later, {})) function();
      return (answer = client.take_answer()) || client.ended;
    });
    REQUIRE(answer);
    return *answer;
  }
  static std::string bearer(const std::string& token) {
    return "Authorization: Bearer " + token + "\r\n";
  }

  test::Served served;
  test::FakeTokenStore store;
  TokenBook book{store, served.clock};
  std::vector<std::pair<milliseconds, base::Callback<void()>>> later;
  bool answer_at_once = true;
  std::optional<base::Errc> refused;
  std::optional<std::string> peer;
  std::unique_ptr<Gate> gate;
};

TEST_CASE("who shows a token is let in from anywhere, under any Host, by its name") {
  Gated gated;
  gated.store.add("ci", "good", core::Role::operator_);
  gated.peer = "192.0.2.1";
  CHECK(gated.ask("").status == 401);
  CHECK(gated.ask("").header_or_none("WWW-Authenticate") == "Bearer");
  CHECK(gated.ask(Gated::bearer("good")).body == "token ci");
  gated.peer.reset();
  CHECK(gated.ask("").body == "127.0.0.1");
  CHECK(gated.ask(Gated::bearer("good")).body == "token ci");
}

TEST_CASE("health, description and page are for everybody but other pages, all else is not") {
  Gated gated(Trust::always);
  gated.peer = "192.0.2.1";
  for (const char* path : {"/healthz", "/openapi.json", "/", "/ui", "/ui/app.js"}) {
    CHECK(gated.ask("", "GET", path).body == "nobody");
    CHECK(gated.ask("Sec-Fetch-Site: cross-site\r\n", "GET", path).status == 403);
    CHECK(gated.ask(Gated::bearer("bad"), "GET", path).status == 401);
  }
  for (const char* path : {"/healthz/", "/%68ealthz", "//healthz", "/readyz", "/v1/status", "//",
                           "/ui/", "/ui/none.js", "/ui/../v1/status", "/ui/app.js/", "/%75i"})
    CHECK(gated.ask("", "GET", path).status == 401);
}

TEST_CASE("a link to the page may be followed from elsewhere, and leads nowhere else") {
  Gated gated(Trust::always);
  gated.peer = "192.0.2.1";
  const std::string link = "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\n";
  const std::string followed = link + "Sec-Fetch-Dest: document\r\n";
  for (const char* path : {"/", "/ui", "/ui/app.js"}) {
    CHECK(gated.ask(followed, "GET", path).body == "nobody");
    CHECK(gated.ask(followed + "Origin: http://evil.example\r\n", "GET", path).status == 403);
    CHECK(gated.ask(followed + "Content-Length: 0\r\n", "POST", path).status == 403);
    CHECK(gated.ask(link, "GET", path).status == 403);
    CHECK(gated.ask(link + "Sec-Fetch-Dest: iframe\r\n", "GET", path).status == 403);
    CHECK(gated
              .ask("Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n"
                   "Sec-Fetch-Dest: document\r\n",
                   "GET", path)
              .status == 403);
  }
  for (const char* path : {"/healthz", "/openapi.json", "/v1/status", "/createstream/9000/a:1"})
    CHECK(gated.ask(followed, "GET", path).status == 403);
}

TEST_CASE("an Authorization of another scheme than Bearer does not spoil loopback") {
  Gated gated;
  for (const char* scheme : {"Basic YTpi", "Digest username=\"a\"", "Negotiate abc", ""})
    CHECK(gated.ask(std::string("Authorization: ") + scheme + "\r\n").status == 200);
}

TEST_CASE("a wrong token is refused where none is needed, with one text for whatever is wrong") {
  Gated gated;
  gated.store.add("old", "old", core::Role::admin).expires_at = gated.served.clock.wall();
  gated.store.add("gone", "gone", core::Role::admin);
  gated.store.revoke("gone");
  std::vector<std::string> bodies;
  for (const char* token : {"old", "gone", "unknown"}) {
    const test::Answer answer = gated.ask(Gated::bearer(token) + "X-Request-Id: one\r\n");
    CHECK(answer.status == 401);
    CHECK(answer.header_or_none("WWW-Authenticate") == "Bearer error=\"invalid_token\"");
    CHECK(answer.header_or_none("Connection") == "close");
    bodies.push_back(answer.body);
  }
  CHECK(bodies[0] == bodies[1]);
  CHECK(bodies[0] == bodies[2]);
}

TEST_CASE("a token does not open the API to a web page, nor do methods without a route") {
  Gated gated;
  gated.store.add("ci", "good", core::Role::admin);
  for (const char* method : {"GET", "OPTIONS", "POST", "DELETE"}) {
    for (const char* mark : {"Origin: http://evil.example\r\n", "Origin: null\r\n",
                             "Sec-Fetch-Site: cross-site\r\n"}) {
      INFO(method << mark);
      const test::Answer answer =
          gated.ask(Gated::bearer("good") + mark + "Content-Length: 0\r\n", method);
      CHECK(answer.status == 403);
      CHECK(answer.header("Access-Control-Allow-Origin") == nullptr);
    }
  }
}

TEST_CASE("the answer to a wrong token waits, and that to a good one does not") {
  Gated gated;
  gated.store.add("ci", "good", core::Role::viewer);
  gated.answer_at_once = false;
  test::Client& wrong = gated.served.connect();
  wrong.send("GET / HTTP/1.1\r\nHost: localhost\r\n" + Gated::bearer("bad") + "\r\n");
  REQUIRE(gated.served.turn_until([&] { return !gated.later.empty(); }));
  CHECK(gated.later[0].first == milliseconds{250});
  CHECK(gated.ask(Gated::bearer("good")).status == 200);
  CHECK(wrong.received.empty());
  gated.later[0].second();
  CHECK(gated.served.next_answer(wrong).status == 401);
}

TEST_CASE("after ten wrong tokens an address gets 429 for wrong ones, and a valid one is let in") {
  Gated gated;
  gated.store.add("ci", "good", core::Role::viewer);
  gated.peer = "192.0.2.1";
  for (int i = 0; i < 10; ++i) CHECK(gated.ask(Gated::bearer("bad")).status == 401);
  for (int i = 0; i < 2; ++i) {
    const test::Answer answer = gated.ask(Gated::bearer("bad"));
    CHECK(answer.status == 429);
    CHECK(answer.header_or_none("Retry-After") == "600");
    CHECK(gated.ask(Gated::bearer("good")).body == "token ci");
  }
  CHECK(gated.ask("").status == 401);
  gated.peer = "192.0.2.2";
  CHECK(gated.ask(Gated::bearer("good")).status == 200);
  gated.peer = "192.0.2.1";
  gated.served.clock.advance(std::chrono::minutes{10});
  CHECK(gated.ask(Gated::bearer("bad")).status == 401);
}

TEST_CASE("a refused change is logged with its principal, address, request and problem") {
  test::CaughtLog log;
  Gated gated;
  gated.store.add("ci", "good", core::Role::viewer);
  gated.peer = "192.0.2.1";
  gated.refused = base::Errc::forbidden;
  gated.ask("X-Request-Id: a\r\n", "GET", "/createstream/9000/a:1");
  gated.ask(Gated::bearer("good") + "X-Request-Id: b\r\n", "DELETE", "/v1/streams/9000");
  gated.refused = base::Errc::privilege;
  gated.peer = "192.0.2.2";
  gated.ask(Gated::bearer("good") + "X-Request-Id: c\r\n", "PUT", "/v1/streams/80");
  CHECK(log.refusals() ==
        std::vector<std::string>{
            "change refused principal=none address=192.0.2.1 method=GET "
            "path=/createstream/9000/a:1 status=401 type=unauthorized request_id=a times=1",
            "change refused principal=\"token ci\" address=192.0.2.1 method=DELETE "
            "path=/v1/streams/9000 status=403 type=forbidden request_id=b times=1",
            "change refused principal=\"token ci\" address=192.0.2.2 method=PUT "
            "path=/v1/streams/80 status=403 type=privileged-port request_id=c times=1"});
  gated.ask("", "GET", "/v1/streams");  // no change
  gated.refused.reset();
  gated.ask(Gated::bearer("good"), "DELETE", "/v1/streams/9000");  // not refused
  CHECK(log.refusals().size() == 3);
}

TEST_CASE("answers that wait are bounded") {
  Gated gated;
  gated.answer_at_once = false;
  const std::string request =
      "GET / HTTP/1.1\r\nHost: localhost\r\n" + Gated::bearer("bad") + "\r\n";
  for (std::size_t i = 0; i < Gate::kMaxDelayed; ++i) gated.served.connect().send(request);
  REQUIRE(gated.served.turn_until([&] { return gated.later.size() == Gate::kMaxDelayed; }));
  CHECK(gated.served.answer_to(gated.served.connect(), request).status == 401);
  gated.later[0].second();
  test::Client& waits = gated.served.connect();
  waits.send(request);
  REQUIRE(gated.served.turn_until([&] { return gated.later.size() == Gate::kMaxDelayed + 1; }));
  CHECK(waits.received.empty());
}

TEST_CASE("no token is in the log") {
  std::string log;
  base::log::set_level(base::log::Level::debug);
  base::log::set_sink(
      [&](base::log::Level, std::string_view sentence, std::span<const base::log::Field> fields) {
        log += base::log::to_line(sentence, fields) + "\n";
      });
  Gated gated;
  gated.store.add("ci", "good-secret", core::Role::viewer);
  for (int i = 0; i < 12; ++i) gated.ask(Gated::bearer("bad-secret"));
  gated.ask(Gated::bearer("good-secret"));
  base::log::set_sink({});
  base::log::set_level(base::log::Level::info);
  CHECK_THAT(log, Catch::Contains("a token that is not valid was shown address=127.0.0.1 times=1"));
  CHECK_THAT(log, Catch::Contains("times=10"));
  CHECK_THAT(log, !Catch::Contains("secret"));
}

TEST_CASE("handlers are told who asks") {
  Routes routes(http::plain_error);
  std::string asked;
  routes.handle("GET", "/a/{b}",
                [&](const http::Request&, const http::Params& params, const core::Caller& caller,
                    const http::Responder&) { asked = caller.name + " " + params["b"]; });
  http::Request request;
  request.method = "GET";
  request.path = request.target = "/a/c";
  routes.route(request, {"token ci", core::Role::viewer, std::nullopt}, {});
  CHECK(asked == "token ci c");
}

}  // namespace
}  // namespace sc::api
