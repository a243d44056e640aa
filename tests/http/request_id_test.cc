#include "http/request_id.h"

#include <algorithm>
#include <set>

#include "http/client.h"
#include "http/router.h"

using namespace sc;
using test::Answer;
using test::Served;

namespace {

bool is_made_here(const std::string& id) {
  return id.size() == 16 && id.find_first_not_of("0123456789abcdef") == std::string::npos;
}

std::string get(const std::string& headers) {
  return "GET /a HTTP/1.1\r\nHost: h\r\n" + headers + "\r\n";
}

}  // namespace

TEST_CASE("a client's request id is taken and comes back") {
  Served served;
  for (const std::string& id :
       {std::string("a"), std::string("Az09._-"), std::string(64, 'x'), std::string("..")}) {
    INFO(id);
    const Answer answer = served.answer_to(served.connect(), get("x-request-ID:  " + id + " \r\n"));
    CHECK(answer.header_or_none("x-request-id") == id);
    CHECK(served.requests.back().id == id);
  }
}

TEST_CASE("an id that is missing, too long, of other characters or not alone is replaced") {
  Served served;
  for (const std::string& headers :
       {std::string(), std::string("X-Request-Id:\r\n"),
        "X-Request-Id: " + std::string(65, 'x') + "\r\n", std::string("X-Request-Id: a b\r\n"),
        std::string("X-Request-Id: a\"\r\n"), std::string("X-Request-Id: \xc3\xa4\r\n"),
        std::string("X-Request-Id: a/b\r\n"),
        std::string("X-Request-Id: one\r\nX-Request-Id: one\r\n")}) {
    INFO(headers);
    const Answer answer = served.answer_to(served.connect(), get(headers));
    CHECK(answer.status == 200);
    CHECK(is_made_here(answer.header_or_none("x-request-id")));
    CHECK(answer.header_or_none("x-request-id") == served.requests.back().id);
  }
}

TEST_CASE("no id is made twice, and none leaks from a request into the next one") {
  Served served;
  test::Client& client = served.connect();
  std::string all = get("X-Request-Id: mine\r\n");
  for (int i = 0; i < 100; ++i) all += get("");
  client.send(all);
  CHECK(served.next_answer(client).header_or_none("x-request-id") == "mine");
  std::set<std::string> ids;
  for (int i = 0; i < 100; ++i) {
    const std::string id = served.next_answer(client).header_or_none("x-request-id");
    CHECK(is_made_here(id));
    ids.insert(id);
  }
  CHECK(ids.size() == 100);
}

TEST_CASE("what is refused before it is a request has an id all the same") {
  http::ServerOptions options;
  options.timeouts.request = std::chrono::milliseconds{50};
  Served served(options);
  const std::string mine = "X-Request-Id: mine\r\n";
  const auto id_of = [&](const std::string& bytes, int status) {
    const Answer answer = served.answer_to(served.connect(), bytes);
    CHECK(answer.status == status);
    CHECK(std::count_if(answer.headers.begin(), answer.headers.end(),
                        [](const auto& header) { return header.name == "X-Request-Id"; }) == 1);
    return answer.header_or_none("x-request-id");
  };
  CHECK(is_made_here(id_of("nonsense\r\n\r\n", 400)));
  CHECK(is_made_here(id_of("GET / HTTP/1.1\r\n", 408)));
  CHECK(is_made_here(id_of("GET /" + std::string(9000, 'x') + " HTTP/1.1\r\n\r\n", 414)));
  CHECK(is_made_here(id_of("BREW / HTTP/1.1\r\nHost: h\r\n\r\n", 501)));
  CHECK(is_made_here(id_of("GET / HTTP/3.0\r\nHost: h\r\n\r\n", 505)));
  CHECK(is_made_here(id_of(get("A: " + std::string(17000, 'x') + "\r\n"), 431)));
  // Behind a head that was read the client's own is known.
  CHECK(id_of("POST / HTTP/1.1\r\nHost: h\r\n" + mine + "Content-Length: 9999999\r\n\r\n", 413) ==
        "mine");
  CHECK(id_of("POST / HTTP/1.1\r\nHost: h\r\n" + mine + "Content-Length: 2\r\n\r\nx", 408) ==
        "mine");
  CHECK(id_of("POST / HTTP/1.1\r\nHost: h\r\n" + mine + "Expect: tea\r\n\r\n", 417) == "mine");
}

TEST_CASE("the router's refusals and a dropped request have the request's id") {
  Served served;
  http::Router router;
  router.handle("GET", "/a", [](const auto&, const auto&, const http::Responder&) {});
  served.handler = [&](const http::Request& request, http::Responder responder) {
    router.route(request, std::move(responder));
  };
  const auto ask = [&](const std::string& line) {
    const Answer answer = served.answer_to(
        served.connect(), line + " HTTP/1.1\r\nHost: h\r\nX-Request-Id: mine\r\n\r\n");
    CHECK(answer.header_or_none("x-request-id") == "mine");
    return answer.status;
  };
  CHECK(ask("GET /nothing") == 404);
  CHECK(ask("POST /a") == 405);
  CHECK(ask("OPTIONS *") == 204);
  CHECK(ask("GET /%zz") == 400);
  CHECK(ask("TRACE /a") == 501);
  CHECK(ask("GET /a") == 500);
}
