#include "http/router.h"

#include "http/client.h"

using namespace sc;
using test::Answer;
using test::Served;

namespace {

// A server with some routes; what they answer names the route and its parameters.
struct Routed : Served {
  Routed() {
    router.handle("GET", "/status", [](const auto&, const auto&, http::Responder responder) {
      responder.respond(Served::text("status"));
    });
    router.handle("GET", "/createstream/{port}/{backend}",
                  [](const auto&, const http::Params& params, http::Responder responder) {
                    responder.respond(Served::text(params["port"] + "|" + params["backend"]));
                  });
    router.handle("GET", "/v1/streams/{port}",
                  [](const auto&, const http::Params& params, http::Responder responder) {
                    responder.respond(Served::text("get " + params["port"]));
                  });
    router.handle("DELETE", "/v1/streams/{port}",
                  [](const auto&, const http::Params& params, http::Responder responder) {
                    responder.respond(Served::text("delete " + params["port"]));
                  });
    handler = [this](const http::Request& request, http::Responder responder) {
      router.route(request, std::move(responder));
    };
  }

  Answer ask(const std::string& method, const std::string& target) {
    return answer_to(connect(), method + " " + target + " HTTP/1.1\r\nHost: h\r\n\r\n");
  }

  http::Router router;
};

}  // namespace

TEST_CASE("a request goes to the route of its path and method") {
  Routed served;
  CHECK(served.ask("GET", "/status").body == "status");
  CHECK(served.ask("GET", "/status?x=y").body == "status");
  CHECK(served.ask("GET", "/createstream/9000/a:1").body == "9000|a:1");
  CHECK(served.ask("GET", "/v1/streams/9000").body == "get 9000");
  CHECK(served.ask("DELETE", "/v1/streams/9000").body == "delete 9000");
}

TEST_CASE("an unknown path is 404") {
  Routed served;
  for (const char* path : {"/", "/nothing", "/status/", "//status", "/createstream/9000",
                           "/createstream/9000/a/b", "/createstream//a:1", "/Status"}) {
    INFO(path);
    CHECK(served.ask("GET", path).status == 404);
    CHECK(served.ask("POST", path).status == 404);
  }
}

TEST_CASE("a path's segments are decoded one by one, strictly") {
  Routed served;
  CHECK(served.ask("GET", "/stat%75s").body == "status");
  CHECK(served.ask("GET", "/createstream/9000/%5B::1%5D:2000").body == "9000|[::1]:2000");
  CHECK(served.ask("GET", "/createstream/9000/a%2Fb").body == "9000|a/b");
  CHECK(served.ask("GET", "/createstream/9000/a+b").body == "9000|a+b");
  CHECK(served.ask("GET", "/createstream/9000/%252e").body == "9000|%2e");
  for (const char* bad : {"%", "%4", "%zz", "%00", "a%"}) {
    INFO(bad);
    CHECK(served.ask("GET", std::string("/createstream/9000/") + bad).status == 400);
  }
}

TEST_CASE("a known path with another method is 405 and says what it allows") {
  Routed served;
  for (const char* method : {"POST", "PUT", "DELETE", "PATCH"}) {
    INFO(method);
    const Answer answer = served.ask(method, "/status");
    CHECK(answer.status == 405);
    CHECK(answer.header_or_none("allow") == "GET, HEAD");
  }
  CHECK(served.ask("PUT", "/v1/streams/1").header_or_none("allow") == "GET, HEAD, DELETE");
}

TEST_CASE("HEAD goes where GET goes") {
  Routed served;
  const Answer answer = served.ask("HEAD", "/status");
  CHECK(answer.status == 200);
  CHECK(answer.header_or_none("content-length") == "6");
  CHECK(served.ask("HEAD", "/nothing").status == 404);
}

TEST_CASE("OPTIONS says what a path allows") {
  Routed served;
  const Answer one = served.ask("OPTIONS", "/status");
  CHECK(one.status == 204);
  CHECK(one.header_or_none("allow") == "GET, HEAD, OPTIONS");
  const Answer all = served.ask("OPTIONS", "*");
  CHECK(all.status == 204);
  CHECK(all.header_or_none("allow") == "GET, HEAD, DELETE, OPTIONS");
  CHECK(served.ask("OPTIONS", "/nothing").status == 404);
}

TEST_CASE("a method that nothing here will ever have is 501") {
  Routed served;
  CHECK(served.ask("PROPFIND", "/status").status == 501);
  CHECK(served.ask("TRACE", "/status").status == 501);
  CHECK(served.ask("CONNECT", "h:1").status == 501);
  CHECK(served.ask("BREW", "/status").status == 501);
}

TEST_CASE("a parameter may have an end, and such a path is none of the others'") {
  Routed served;
  const auto answer = [](const std::string& name) {
    return [name](const http::Request&, const http::Params& params, http::Responder responder) {
      responder.respond(Served::text(name + " " + params["port"]));
    };
  };
  served.router.handle("GET", "/of/{port}", answer("get"));
  served.router.handle("POST", "/of/{port}:check", answer("check"));
  served.router.handle("GET", "/of/{port}:check/more", answer("more"));
  CHECK(served.ask("POST", "/of/9000:check").body == "check 9000");
  CHECK(served.ask("POST", "/of/9000%3Acheck").body == "check 9000");
  CHECK(served.ask("GET", "/of/9000").body == "get 9000");
  CHECK(served.ask("GET", "/of/a:1").body == "get a:1");
  CHECK(served.ask("GET", "/of/:check").body == "get :check");
  CHECK(served.ask("GET", "/of/9000:check/more").body == "more 9000");
  const Answer refused = served.ask("GET", "/of/9000:check");
  CHECK(refused.status == 405);
  CHECK(refused.header_or_none("allow") == "POST");
}

TEST_CASE("the body of a router's refusal can be replaced") {
  Routed served;
  served.router = http::Router([](int status, std::string detail) {
    http::Response response;
    response.status = status;
    response.body = "<" + detail + ">";
    return response;
  });
  CHECK(served.ask("GET", "/nothing").body == "<there is nothing at \"/nothing\">");
}

TEST_CASE("PUT, PATCH, POST and DELETE bring their bodies, an empty one too") {
  Routed served;
  for (const char* method : {"PUT", "PATCH", "POST", "DELETE"}) {
    INFO(method);
    served.router.handle(method, "/body",
                         [](const http::Request& request, const auto&, http::Responder responder) {
                           responder.respond(Served::text("<" + request.body + ">"));
                         });
    const std::string head = std::string(method) + " /body HTTP/1.1\r\nHost: h\r\n";
    test::Client& client = served.connect();
    CHECK(served.answer_to(client, head + "Content-Length: 2\r\n\r\n{}").body == "<{}>");
    CHECK(served.answer_to(client, head + "Content-Length: 0\r\n\r\n").body == "<>");
    CHECK(served.answer_to(client, head + "\r\n").body == "<>");
    CHECK(served.answer_to(client, head + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")
              .body == "<{}>");
  }
}

TEST_CASE("answers are counted by route and status, and paths that nobody knows together") {
  Routed served;
  served.ask("GET", "/v1/streams/9000");
  served.ask("GET", "/v1/streams/9001");
  served.ask("DELETE", "/v1/streams/9000");
  served.answer_to(served.connect(), "HEAD /status HTTP/1.1\r\nHost: h\r\n\r\n");
  for (const char* path : {"/nothing", "/else"}) served.ask("GET", path);
  served.ask("PUT", "/status");
  served.all_for(served.connect(), "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n");
  std::string seen;
  for (const auto& [key, count] : served.server->answers().all())
    seen += key.route.method + " " + key.route.pattern + " " + std::to_string(key.status) + ": " +
            std::to_string(count) + "\n";
  CHECK(seen ==
        "  400: 1\n"
        "  404: 2\n"
        "  405: 1\n"
        "DELETE /v1/streams/{port} 200: 1\n"
        "GET /status 200: 1\n"
        "GET /v1/streams/{port} 200: 2\n");
}

TEST_CASE("an answer that comes later, or never, counts for its route") {
  Routed served;
  std::optional<http::Responder> held;
  served.router.handle(
      "GET", "/later/{id}",
      [&](const auto&, const auto&, http::Responder responder) { held = std::move(responder); });
  served.connect().send("GET /later/1 HTTP/1.1\r\nHost: h\r\n\r\n");
  REQUIRE(served.turn_until([&] { return held.has_value(); }));
  CHECK(served.server->answers().all().empty());
  held.reset();  // 500
  const auto& all = served.server->answers().all();
  REQUIRE(all.size() == 1);
  CHECK(all.begin()->first.route == http::RouteName{"GET", "/later/{id}"});
  CHECK(all.begin()->first.status == 500);
}
