#include <chrono>

#include "http/client.h"
#include "http/server.h"

using namespace sc;
using namespace std::chrono_literals;
using test::Answer;
using test::Client;
using test::Served;

namespace {

const std::string kGet = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";

http::ServerOptions with_timeouts(http::ConnectionTimeouts timeouts) {
  http::ServerOptions options;
  options.timeouts = timeouts;
  return options;
}

// Sends, reads to the end, and says which status came; the connection must end in order, and say
// that it does.
int refused_with(Served& served, const std::string& bytes) {
  Client& client = served.connect();
  client.send(bytes);
  const Answer answer = served.next_answer(client);
  CHECK(answer.header_or_none("connection") == "close");
  CHECK(answer.header("date") != nullptr);
  CHECK(answer.header("content-length") != nullptr);
  CHECK(served.turn_until_end(client));
  CHECK(client.error == 0);
  CHECK(client.received.empty());
  CHECK(served.requests.empty());
  return answer.status;
}

}  // namespace

TEST_CASE("what breaks a limit is refused with its status and an orderly end") {
  Served served;
  const std::string host = "Host: h\r\n";
  CHECK(refused_with(served, "nonsense\r\n\r\n" + kGet) == 400);
  CHECK(refused_with(served, "GET / HTTP/1.1\r\n\r\n" + kGet) == 400);
  CHECK(refused_with(served, "GET / HTTP/3.0\r\n" + host + "\r\n") == 505);
  CHECK(refused_with(served, "BREW / HTTP/1.1\r\n" + host + "\r\n") == 501);
  CHECK(refused_with(served, "GET /" + std::string(8192, 'x') + " HTTP/1.1\r\n" + host + "\r\n") ==
        414);
  CHECK(refused_with(served, "GET / HTTP/1.1\r\n" + host + "A: " + std::string(17000, 'x') +
                                 "\r\n\r\n") == 431);
  std::string many;
  for (int i = 0; i < 2000; ++i) many += "A" + std::to_string(i) + ": b\r\n";
  CHECK(refused_with(served, "GET / HTTP/1.1\r\n" + host + many + "\r\n") == 431);
  CHECK(
      refused_with(served, "POST / HTTP/1.1\r\n" + host +
                               "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" +
                               kGet) == 400);
}

TEST_CASE("a body one byte above the limit is refused, and its sender reads the answer") {
  Served served;
  const std::size_t limit = http::ParserLimits{}.body;
  const auto post = [](std::size_t size) {
    return "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n" +
           std::string(size, 'x');
  };
  CHECK(refused_with(served, post(limit + 1)) == 413);
  std::string chunked = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (std::size_t sent = 0; sent < limit; sent += 65536)
    chunked += "10000\r\n" + std::string(65536, 'x') + "\r\n";
  CHECK(refused_with(served, chunked + "1\r\nx\r\n0\r\n\r\n") == 413);

  Client& client = served.connect();
  CHECK(served.answer_to(client, post(limit)).status == 200);
  CHECK(served.requests.at(0).body.size() == limit);
  CHECK(served.answer_to(client, chunked + "0\r\n\r\n").status == 200);
  CHECK(served.requests.at(1).body.size() == limit);
}

TEST_CASE("the body of a refusal can be replaced") {
  http::ServerOptions options;
  options.error_body = [](int status, std::string detail) {
    http::Response response;
    response.status = status;
    response.content_type = "application/problem+json";
    response.body = "{" + detail + "}";
    return response;
  };
  Served served(options);
  Client& client = served.connect();
  const Answer answer = served.answer_to(client, "GET / HTTP/1.1\r\n\r\n");
  CHECK(answer.status == 400);
  CHECK(answer.header_or_none("content-type") == "application/problem+json");
  CHECK(answer.body == "{the Host header is missing}");
}

TEST_CASE("a refused HEAD has no body") {
  Served served;
  Client& client = served.connect();
  const std::string all = served.all_for(client, "HEAD / HTTP/1.1\r\n\r\n");
  CHECK(all.starts_with("HTTP/1.1 400 "));
  CHECK(all.ends_with("\r\n\r\n"));
}

TEST_CASE("a client that does not come to the end of its request gets 408") {
  Served served(with_timeouts({.request = 50ms}));
  CHECK(refused_with(served, "GET / HT") == 408);
  CHECK(refused_with(served, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\na") == 408);
}

TEST_CASE("a client that drips its request does not gain time by it") {
  Served served(with_timeouts({.request = 100ms}));
  Client& client = served.connect();
  client.send("GET / HTTP/1.1\r\n");
  loop::Timer drip(served.loop, [&] {
    client.send("A: b\r\n");
    drip.start(5ms);
  });
  drip.start(5ms);
  const auto started = std::chrono::steady_clock::now();
  CHECK(served.next_answer(client).status == 408);
  CHECK(std::chrono::steady_clock::now() - started < 5s);
}

TEST_CASE("the time for a request is counted anew for each one") {
  Served served(with_timeouts({.request = 400ms}));
  Client& client = served.connect();
  for (int i = 0; i < 4; ++i) {
    client.send("GET /a HTTP/1.1\r\nHost: h\r\n");
    bool due = false;
    loop::Timer half(served.loop, [&] { due = true; });
    half.start(150ms);
    REQUIRE(served.turn_until([&] { return due; }));
    CHECK(served.answer_to(client, "\r\n").status == 200);
  }
}

TEST_CASE("an idle client is closed without a word, before its first request and behind one") {
  Served served(with_timeouts({.idle = 50ms}));
  Client& fresh = served.connect();
  CHECK(served.turn_until_end(fresh));
  CHECK(fresh.received.empty());
  Client& used = served.connect();
  CHECK(served.answer_to(used, kGet).status == 200);
  CHECK(served.turn_until_end(used));
  CHECK(used.received.empty());
  CHECK(used.error == 0);
}

TEST_CASE("empty lines do not keep an idle client") {
  Served served(with_timeouts({.idle = 100ms}));
  Client& client = served.connect();
  loop::Timer drip(served.loop, [&] {
    client.send("\r\n");
    drip.start(5ms);
  });
  drip.start(5ms);
  CHECK(served.turn_until_end(client));
  CHECK(client.received.empty());
}

TEST_CASE("no time runs while the handler works") {
  Served served(with_timeouts({.request = 20ms, .idle = 20ms, .write = 20ms, .linger = 20ms}));
  served.handler = [&](http::Request, http::Responder responder) {
    served.kept.push_back(std::move(responder));
  };
  Client& client = served.connect();
  client.send(kGet);
  bool due = false;
  loop::Timer later(served.loop, [&] { due = true; });
  later.start(100ms);
  REQUIRE(served.turn_until([&] { return due; }));
  REQUIRE(served.kept.size() == 1);
  served.kept.at(0).respond(Served::text("late"));
  CHECK(served.next_answer(client).body == "late");
}

TEST_CASE("a client that does not take its answer is cut off, and nothing is read meanwhile") {
  Served served(with_timeouts({.write = 50ms}));
  served.handler = [&](http::Request, http::Responder responder) {
    responder.respond(Served::text(std::string(32 * 1024 * 1024, 'x')));
  };
  Client& client = served.connect();
  client.stop_reading();
  client.send(kGet + kGet + kGet);
  REQUIRE(served.turn_until([&] { return served.server->client_count() == 1; }));
  CHECK(served.turn_until([&] { return served.server->client_count() == 0; }));
  CHECK(served.requests.size() == 1);
}

TEST_CASE("a client that does not end after its last answer is left after a time") {
  Served served(with_timeouts({.linger = 50ms}));
  Client& client = served.connect();
  CHECK(served.answer_to(client, "GET / HTTP/1.1\r\n\r\n").status == 400);
  CHECK(served.server->client_count() == 1);
  CHECK(served.turn_until([&] { return served.server->client_count() == 0; }));
}

TEST_CASE("a client that sends without end after its last answer is cut off") {
  Served served(with_timeouts({.linger = 60s}));
  Client& client = served.connect();
  client.send("bad\r\n\r\n" + std::string(16 * 1024 * 1024, 'x'));
  CHECK(served.turn_until([&] { return served.server->client_count() == 1; }));
  CHECK(served.turn_until([&] { return served.server->client_count() == 0; }));
}
