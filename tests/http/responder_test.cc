#include "http/responder.h"

#include <stdexcept>

#include "http/client.h"

using namespace sc;
using test::Client;
using test::Served;

namespace {

const std::string kGet = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";

struct Keeping : Served {
  Keeping() {
    handler = [this](http::Request, http::Responder responder) {
      kept.push_back(std::move(responder));
    };
  }
  bool turn_until_kept(std::size_t count) {
    return turn_until([&] { return kept.size() == count; });
  }
};

}  // namespace

TEST_CASE("an answer to a client that has gone does nothing") {
  Keeping served;
  Client& client = served.connect();
  client.send(kGet);
  REQUIRE(served.turn_until_kept(1));
  client.reset();
  for (int i = 0; i < 3; ++i) served.loop.run_once(false);
  served.kept.at(0).respond(Served::text("nobody"));
  CHECK(served.turn_until([&] { return served.server->client_count() == 0; }));
  served.kept.at(0).respond(Served::text("again"));
}

TEST_CASE("an answer through a server that has been destroyed does nothing") {
  Keeping served;
  Client& client = served.connect();
  client.send(kGet);
  REQUIRE(served.turn_until_kept(1));
  CHECK(served.kept.at(0).is_waited_for());
  served.server.reset();
  CHECK_FALSE(served.kept.at(0).is_waited_for());
  served.kept.at(0).respond(Served::text("nobody"));
  CHECK(served.turn_until_end(client));
  CHECK(client.received.empty());
}

TEST_CASE("a responder that is dropped after its server does nothing") {
  Keeping served;
  served.connect().send(kGet);
  REQUIRE(served.turn_until_kept(1));
  served.server.reset();
  served.kept.clear();
}

TEST_CASE("a responder that is dropped answers 500, at once or later, and the client goes on") {
  Keeping served;
  Client& client = served.connect();
  client.send(kGet);
  REQUIRE(served.turn_until_kept(1));
  served.kept.clear();
  CHECK(served.next_answer(client).status == 500);
  served.handler = [](http::Request, http::Responder) {};
  CHECK(served.answer_to(client, kGet).status == 500);
  CHECK(served.answer_to(client, kGet).status == 500);
}

TEST_CASE("a handler that throws answers 500") {
  Served served;
  served.handler = [](http::Request, http::Responder) { throw std::runtime_error("a fault"); };
  Client& client = served.connect();
  CHECK(served.answer_to(client, kGet).status == 500);
}

TEST_CASE("only the first answer counts") {
  Keeping served;
  Client& client = served.connect();
  client.send(kGet);
  REQUIRE(served.turn_until_kept(1));
  served.kept.at(0).respond(Served::text("first"));
  served.kept.at(0).respond(Served::text("second"));
  CHECK(served.next_answer(client).body == "first");
  client.send(kGet);
  REQUIRE(served.turn_until_kept(2));
  served.kept.at(0).respond(Served::text("of the request before"));
  served.kept.at(1).respond(Served::text("third"));
  CHECK(served.next_answer(client).body == "third");
}

TEST_CASE("replacing a responder drops the one before") {
  Keeping served;
  Client& first = served.connect();
  first.send(kGet);
  REQUIRE(served.turn_until_kept(1));
  Client& second = served.connect();
  second.send(kGet);
  REQUIRE(served.turn_until_kept(2));
  served.kept.at(0) = std::move(served.kept.at(1));
  CHECK(served.next_answer(first).status == 500);
  served.kept.at(0).respond(Served::text("mine"));
  CHECK(served.next_answer(second).body == "mine");
}

TEST_CASE("one client's answer may be given from inside another one's handler") {
  Keeping served;
  Client& first = served.connect();
  first.send(kGet + kGet);
  REQUIRE(served.turn_until_kept(1));
  served.handler = [&](http::Request, http::Responder responder) {
    // Its second request is handled inside this call, and answers this one.
    served.handler = [&](http::Request, http::Responder own) {
      served.kept.at(1).respond(Served::text("second client"));
      own.respond(Served::text("first client, second request"));
    };
    served.kept.push_back(std::move(responder));
    served.kept.at(0).respond(Served::text("first client"));
  };
  Client& second = served.connect();
  CHECK(served.answer_to(second, kGet).body == "second client");
  CHECK(served.next_answer(first).body == "first client");
  CHECK(served.next_answer(first).body == "first client, second request");
}

TEST_CASE("a response may ask for the connection's end") {
  Served served;
  served.handler = [](http::Request, http::Responder responder) {
    http::Response response = Served::text("bye");
    response.close = true;
    responder.respond(std::move(response));
  };
  Client& client = served.connect();
  CHECK(served.answer_to(client, kGet).header_or_none("connection") == "close");
  CHECK(served.turn_until_end(client));
}
