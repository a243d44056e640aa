#include <string>
#include <vector>

#include "base/log.h"
#include "http/client.h"
#include "http/server.h"

using namespace sc;
using namespace std::chrono_literals;
using test::Client;
using test::Served;

namespace {

const std::string kGet = "GET /events HTTP/1.1\r\nHost: h\r\n\r\n";

// A server each of whose answers goes on; `/short` alone is answered at once.
struct Open : Served {
  explicit Open(http::ServerOptions options = {}) {
    base::log::set_sink([this](base::log::Level level, std::string_view sentence, auto) {
      if (level == base::log::Level::warning) warnings.emplace_back(sentence);
    });
    Served::open(std::move(options));
    handler = [this](const http::Request& request, http::Responder responder) {
      if (request.target == "/short") {
        responder.respond(text("short"));
      } else {
        writers.push_back(answer_open(std::move(responder)));
      }
    };
  }
  ~Open() { base::log::set_sink({}); }

  http::BodyWriter answer_open(http::Responder responder) {
    http::Response response;
    response.content_type = "text/event-stream";
    return responder.respond_open(
        std::move(response), {.on_sent = [this] { ++sent; }, .on_closed = [this] { ++closed; }});
  }

  // Its head has come.
  Client& arrive(const std::string& request = kGet) {
    Client& client = connect();
    client.send(request);
    REQUIRE(turn_until([&] { return client.received.find("\r\n\r\n") != std::string::npos; }));
    head = client.received.substr(0, client.received.find("\r\n\r\n") + 2);
    client.received.erase(0, head.size() + 2);
    return client;
  }
  // It has asked, and `kept` has the right to answer.
  Client& arrive_unanswered() {
    handler = [this](const http::Request&, http::Responder responder) {
      kept.push_back(std::move(responder));
    };
    Client& client = connect();
    client.send(kGet);
    REQUIRE(turn_until([&] { return kept.size() == 1; }));
    return client;
  }
  // A client that takes nothing, after so many bytes that the kernel keeps no more for it.
  Client& arrive_deaf() {
    Client& client = arrive();
    client.stop_reading();
    const std::string part(32 * 1024, 'x');
    while (writers.back().waiting() < http::BodyWriter::kMostWaiting)
      REQUIRE(writers.back().write(part));
    return client;
  }
  bool comes(Client& client, const std::string& bytes) {
    return turn_until([&] { return client.ended || client.received.size() >= bytes.size(); }) &&
           client.received == bytes;
  }
  std::size_t count_of(const std::string& part) const {
    std::size_t count = 0;
    for (std::size_t at = 0; (at = head.find(part, at)) != std::string::npos; ++at) ++count;
    return count;
  }

  std::string head;
  std::vector<http::BodyWriter> writers;
  int sent = 0;
  int closed = 0;
  std::vector<std::string> warnings;
};

}  // namespace

TEST_CASE("a body that goes on comes in chunks as it is written, and ends with an empty one") {
  Open served;
  Client& client = served.arrive();
  CHECK(served.head.starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(served.count_of("Transfer-Encoding: chunked\r\n") == 1);
  CHECK(served.count_of("Connection: close\r\n") == 1);
  CHECK(served.count_of("Content-Length") == 0);
  CHECK(client.received.empty());

  http::BodyWriter& writer = served.writers.at(0);
  CHECK(writer.write("one"));
  CHECK(writer.write(""));
  CHECK(writer.write(std::string(20, 'x')));
  CHECK(served.comes(client, "3\r\none\r\n14\r\n" + std::string(20, 'x') + "\r\n"));
  client.received.clear();
  CHECK(writer.is_open());
  CHECK(writer.waiting() == 0);

  writer.end();
  CHECK(served.turn_until_end(client));
  CHECK(client.received == "0\r\n\r\n");
  CHECK(client.error == 0);
  CHECK_FALSE(writer.is_open());
  CHECK_FALSE(writer.write("more"));
  CHECK(served.closed == 0);
}

TEST_CASE("to HTTP/1.0 a body goes on until the connection ends") {
  Open served;
  Client& client = served.arrive("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  CHECK(served.count_of("Transfer-Encoding") == 0);
  CHECK(served.count_of("Content-Length") == 0);
  CHECK(served.count_of("Connection: close\r\n") == 1);
  served.writers.at(0).write("one");
  served.writers.at(0).write("two");
  served.writers.clear();  // dropped is ended
  CHECK(served.turn_until_end(client));
  CHECK(client.received == "onetwo");
}

TEST_CASE("HEAD gets the head of an answer that goes on, and nobody takes the body") {
  Open served;
  Client& client = served.arrive("HEAD /events HTTP/1.1\r\nHost: h\r\n\r\n");
  CHECK(served.count_of("Transfer-Encoding: chunked\r\n") == 1);
  CHECK(served.turn_until_end(client));
  CHECK(client.received.empty());
  CHECK_FALSE(served.writers.at(0).is_open());
}

TEST_CASE("the answer may begin later, and its first part with it") {
  Open served;
  Client& client = served.arrive_unanswered();
  http::BodyWriter writer = served.kept.at(0).respond_open(Served::text("first"), {});
  CHECK(writer.write("then"));
  const std::string body = "5\r\nfirst\r\n4\r\nthen\r\n";
  CHECK(served.turn_until([&] { return client.received.ends_with(body); }));
  // Whose client has gone by then.
  Client& gone = served.connect();
  gone.send(kGet);
  REQUIRE(served.turn_until([&] { return served.kept.size() == 2; }));
  gone.reset();
  http::BodyWriter none = served.kept.at(1).respond_open(Served::text("x"), {});
  while (none.write(std::string(32 * 1024, 'x'))) {
  }
  CHECK_FALSE(none.is_open());
}

TEST_CASE("a client that goes is told of at once, once") {
  Open served;
  Client& client = served.arrive();
  SECTION("by a reset") { client.reset(); }
  SECTION("by an end") { client.half_close(); }
  CHECK(served.turn_until([&] { return served.closed == 1; }));
  CHECK_FALSE(served.writers.at(0).is_open());
  CHECK_FALSE(served.writers.at(0).write("x"));
  CHECK(served.server->client_count() == 0);
  served.writers.clear();
  CHECK(served.closed == 1);
  CHECK(served.server->slow_readers() == 0);
}

TEST_CASE("whoever takes its body too slowly is dropped, and holds no more than the bound") {
  Open served;
  Client& deaf = served.arrive_deaf();
  Client& other = served.arrive();
  http::BodyWriter& writer = served.writers.at(0);
  const std::string part(32 * 1024, 'x');
  while (writer.write(part)) CHECK(writer.waiting() <= http::BodyWriter::kMostWaiting + 33 * 1024);
  CHECK_FALSE(writer.is_open());
  CHECK(served.closed == 0);  // not from inside
  CHECK(served.writers.at(1).write("fine"));
  CHECK(served.turn_until([&] { return served.closed == 1; }));
  CHECK(served.comes(other, "4\r\nfine\r\n"));
  CHECK(served.server->slow_readers() == 1);
  CHECK(served.server->client_count() == 1);
  CHECK(served.warnings.size() == 1);
  CHECK_FALSE(deaf.ended);  // has not looked yet
}

TEST_CASE("a client that takes nothing is dropped after the time to write, whatever is written") {
  http::ServerOptions options;
  options.timeouts.write = 100ms;
  Open served(std::move(options));
  served.arrive_deaf();
  CHECK(served.turn_until([&] { return served.closed == 1; }));
  CHECK(served.server->slow_readers() == 1);
  CHECK(served.warnings.size() == 1);
}

TEST_CASE("a large part is no slow client, and on_sent says when all of it has gone") {
  Open served;
  Client& client = served.arrive();
  const std::string part(1024 * 1024, 'x');
  http::BodyWriter& writer = served.writers.at(0);
  std::size_t written = 0;
  for (int i = 0; i < 8; ++i) {
    REQUIRE(writer.write(part));
    written += part.size() + std::string("100000\r\n\r\n").size();
    const int before = served.sent;
    if (writer.waiting() > 0) REQUIRE(served.turn_until([&] { return served.sent > before; }));
    CHECK(writer.waiting() == 0);
  }
  CHECK(served.turn_until([&] { return client.received.size() == written; }));
  CHECK(served.server->slow_readers() == 0);
}

TEST_CASE("on_sent may end the body") {
  Open served;
  served.handler = [&](const http::Request&, http::Responder responder) {
    served.writers.push_back(responder.respond_open(
        Served::text("x"), {.on_sent = [&] { served.writers.clear(); }, .on_closed = {}}));
  };
  Client& client = served.arrive();
  CHECK(served.turn_until_end(client));
  CHECK(client.received == "1\r\nx\r\n0\r\n\r\n");
}

TEST_CASE("what a client sends beside a body that goes on is no request, and is not kept") {
  Open served;
  Client& client = served.arrive(kGet + "GET /short HTTP/1.1\r\nHost: h\r\n\r\n");
  client.send("GET /short HTTP/1.1\r\nHost: h\r\n\r\n");
  REQUIRE(served.turn_until([&] { return client.has_sent_all(); }));
  served.writers.at(0).write("a");
  CHECK(served.comes(client, "1\r\na\r\n"));
  CHECK(served.requests.size() == 1);

  SECTION("the connection ends behind it") {
    served.writers.clear();
    CHECK(served.turn_until_end(client));
    CHECK(client.received == "1\r\na\r\n0\r\n\r\n");
    CHECK(served.requests.size() == 1);
  }
  SECTION("who sends megabytes is closed") {
    client.send(std::string(8 * 1024 * 1024, 'x'));
    CHECK(served.turn_until([&] { return served.closed == 1; }));
  }
}

TEST_CASE("requests before it on the same connection are answered before it") {
  Open served;
  Client& client = served.connect();
  client.send("GET /short HTTP/1.1\r\nHost: h\r\n\r\n" + kGet);
  CHECK(served.next_answer(client).body == "short");
  CHECK(served.turn_until([&] { return client.received.find("chunked") != std::string::npos; }));
}

TEST_CASE("bodies that go on end in order when the server leaves, and begin no more") {
  Open served;
  Client& client = served.arrive();
  Client& before = served.connect();
  CHECK(served.answer_to(before, "GET /short HTTP/1.1\r\nHost: h\r\n\r\n").status == 200);
  before.send(kGet.substr(0, 10));
  served.writers.at(0).write("a");
  REQUIRE(served.turn_until([&] { return client.received.ends_with("a\r\n"); }));
  served.server->stop_accepting();
  served.server->close_idle();
  CHECK(served.closed == 1);
  CHECK_FALSE(served.writers.at(0).is_open());
  CHECK(served.turn_until_end(client));
  CHECK(client.received == "1\r\na\r\n0\r\n\r\n");
}

TEST_CASE("a body that would begin while the server leaves ends at once") {
  Open served;
  Client& client = served.arrive_unanswered();
  served.server->close_idle();
  const http::BodyWriter writer = served.answer_open(std::move(served.kept.at(0)));
  CHECK_FALSE(writer.is_open());
  CHECK(served.turn_until_end(client));
  CHECK(client.received.ends_with("\r\n\r\n0\r\n\r\n"));
}

TEST_CASE("a writer outlives its server") {
  Open served;
  served.arrive();
  served.server.reset();
  CHECK(served.closed == 1);
  CHECK_FALSE(served.writers.at(0).write("x"));
}

TEST_CASE("a body that goes on keeps its place, unless its client takes nothing") {
  http::ServerOptions options;
  options.max_clients = 2;
  options.reserved_clients = 0;
  Open served(std::move(options));
  Client& quiet = served.arrive();
  const auto ask = [&] {
    return served.answer_to(served.connect(), "GET /short HTTP/1.1\r\nHost: h\r\n\r\n").status;
  };
  CHECK(ask() == 200);
  CHECK(ask() == 200);  // in the place of the one before
  CHECK(served.server->evicted() == 1);
  CHECK(served.writers.at(0).is_open());
  CHECK_FALSE(quiet.ended);

  served.arrive_deaf();
  CHECK(served.server->evicted() == 2);
  CHECK(ask() == 200);  // once it has taken nothing for a while
  CHECK(served.closed == 1);
  CHECK(served.writers.at(0).is_open());
  CHECK_FALSE(served.writers.at(1).is_open());
}
