#include <string>

#include "http/client.h"
#include "support/catch.h"

namespace sc::http {
namespace {

using test::Answer;
using test::Client;
using test::Served;

std::string put(std::size_t length, const std::string& headers = "") {
  return "PUT /x HTTP/1.1\r\nHost: h\r\n" + headers + "Content-Length: " + std::to_string(length) +
         "\r\n\r\n";
}

// Answers with a status by the head alone.
Handler refusing(int status) {
  return [status](const Request&, Responder responder) {
    Response response = Served::text("refused");
    response.status = status;
    responder.respond(std::move(response));
  };
}

TEST_CASE("a request is refused by its head, before its body comes") {
  Served served;
  served.heads_only = true;
  served.handler = refusing(401);
  Client& client = served.connect();
  const Answer answer = served.answer_to(client, put(1000, "Expect: 100-continue\r\n"));
  CHECK(answer.status == 401);
  CHECK(answer.header_or_none("Connection") == "close");
  CHECK(served.server->memory_used() == 0);
}

TEST_CASE("a body that came with a refused head is skipped, and the connection goes on") {
  Served served;
  served.heads_only = true;
  served.handler = refusing(404);
  Client& client = served.connect();
  for (int i = 0; i < 2; ++i) {
    const Answer answer = served.answer_to(client, put(3) + "abc");
    CHECK(answer.status == 404);
    CHECK(answer.header_or_none("Connection") == "(none)");
  }
}

TEST_CASE("100 Continue is sent once the body is asked for") {
  Served served;
  served.heads_only = true;
  std::optional<Request> head;
  std::string body;
  served.handler = [&](Request request, Responder responder) {
    head = std::move(request);
    served.kept.push_back(std::move(responder));
  };
  Client& client = served.connect();
  client.send(put(3, "Expect: 100-continue\r\n"));
  REQUIRE(served.turn_until([&] { return head.has_value(); }));
  CHECK(head->has_body);
  CHECK(client.received.empty());
  served.kept.front().read_body(std::move(*head), [&](Request whole, Responder responder) {
    body = whole.body;
    CHECK_FALSE(whole.has_body);
    responder.respond(Served::text("done"));
  });
  REQUIRE(served.turn_until([&] { return !client.received.empty(); }));
  CHECK(client.received == "HTTP/1.1 100 Continue\r\n\r\n");
  client.received.clear();
  CHECK(served.answer_to(client, "abc").body == "done");
  CHECK(body == "abc");
}

TEST_CASE("bodies share a budget of memory, and one without room is answered 503") {
  ServerOptions options;
  options.memory = 100'000;
  options.reserved_memory = 0;
  Served served(std::move(options));
  Client& first = served.connect();
  first.send(put(60'000) + "begun");
  REQUIRE(served.turn_until([&] { return served.server->memory_used() == 60'000; }));
  CHECK(served.answer_to(served.connect(), put(60'000)).status == 503);
  CHECK(served.server->memory_refusals() == 1);
  CHECK(served.answer_to(served.connect(), put(30'000) + std::string(30'000, 'x')).status == 200);
  CHECK(served.answer_to(first, std::string(59'995, 'x')).status == 200);
  CHECK(served.server->memory_used() == 0);
}

TEST_CASE("a chunked body takes room as it grows") {
  ServerOptions options;
  options.memory = 100'000;
  options.reserved_memory = 0;
  Served served(std::move(options));
  Client& client = served.connect();
  client.send("PUT /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
  const std::string chunk = "8000\r\n" + std::string(0x8000, 'x') + "\r\n";
  const Answer answer = served.answer_to(client, chunk + chunk + chunk + chunk + "0\r\n\r\n");
  CHECK(answer.status == 503);
  CHECK(served.server->memory_used() == 0);
  CHECK(served.requests.empty());
}

TEST_CASE("clients of other hosts leave memory to trusted ones") {
  ServerOptions options;
  options.memory = 100'000;
  options.reserved_memory = 50'000;
  bool is_trusted = false;
  options.is_trusted = [&](const net::Address&) { return is_trusted; };
  Served served(std::move(options));
  served.connect().send(put(40'000));
  REQUIRE(served.turn_until([&] { return served.server->memory_used() == 40'000; }));
  CHECK(served.answer_to(served.connect(), put(20'000)).status == 503);
  is_trusted = true;
  CHECK(served.answer_to(served.connect(), put(20'000) + std::string(20'000, 'x')).status == 200);
}

// An answer that no socket takes whole.
constexpr std::size_t kLong = 8 * 1024 * 1024;

struct LongAnswers : Served {
  explicit LongAnswers(std::chrono::milliseconds give_way) : Served(options_with(give_way)) {
    handler = [](const Request&, Responder responder) {
      responder.respond(text(std::string(kLong, 'x')));
    };
    slow.stop_reading();
    slow.send(request);
    REQUIRE(turn_until([&] { return server->memory_used() > 0; }));
  }
  static ServerOptions options_with(std::chrono::milliseconds give_way) {
    ServerOptions options;
    options.memory = kLong + kLong / 2;
    options.reserved_memory = 0;
    options.timeouts.give_way = give_way;
    return options;
  }

  const std::string request = "GET /x HTTP/1.1\r\nHost: h\r\n\r\n";
  Client& slow = connect();
};

TEST_CASE("a client that does not read its answer gives way to the answer of another") {
  LongAnswers served(std::chrono::milliseconds{0});
  CHECK(served.answer_to(served.connect(), served.request).body.size() == kLong);
  CHECK(served.server->slow_readers() == 1);
  served.slow.start_reading();
  REQUIRE(served.turn_until_end(served.slow));
  CHECK(served.slow.error == ECONNRESET);
}

TEST_CASE("a client has time to read its answer, and others get 503 meanwhile") {
  LongAnswers served(std::chrono::hours{1});
  CHECK(served.answer_to(served.connect(), served.request).status == 503);
  CHECK(served.server->slow_readers() == 0);
  served.slow.start_reading();
  CHECK(served.next_answer(served.slow).body.size() == kLong);
}

}  // namespace
}  // namespace sc::http
