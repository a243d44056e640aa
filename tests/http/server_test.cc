#include "http/server.h"

#include <sys/un.h>
#include <unistd.h>

#include <algorithm>

#include "http/client.h"

using namespace sc;
using test::Answer;
using test::Client;
using test::Served;

namespace {

const std::string kGet = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";

std::string get(const std::string& path, const std::string& headers = "") {
  return "GET " + path + " HTTP/1.1\r\nHost: h\r\n" + headers + "\r\n";
}

// Counts the answers of 200, and checks that their bodies are /0, /1, ...
void check_in_order(Served& served, Client& client, int count) {
  for (int i = 0; i < count; ++i) {
    const Answer answer = served.next_answer(client);
    CHECK(answer.status == 200);
    CHECK(answer.body == "/" + std::to_string(i));
  }
}

}  // namespace

TEST_CASE("a request is answered with date and length, and the next one on the same connection") {
  Served served;
  Client& client = served.connect();
  for (int i = 0; i < 3; ++i) {
    const Answer answer = served.answer_to(client, kGet);
    CHECK(answer.status == 200);
    CHECK(answer.body == "/a");
    CHECK(answer.header_or_none("content-length") == "2");
    CHECK(answer.header_or_none("date") == "Sun, 01 Nov 2026 14:03:00 GMT");
    CHECK(answer.header_or_none("connection") == "(none)");
  }
  served.clock.advance(std::chrono::milliseconds{1000});
  CHECK(served.answer_to(client, kGet).header_or_none("date") == "Sun, 01 Nov 2026 14:03:01 GMT");
  CHECK(served.server->client_count() == 1);
  CHECK(served.requests.at(0).peer.is_loopback());
  CHECK_FALSE(served.requests.at(0).credentials.has_value());
}

TEST_CASE("a hundred requests in one write are answered in order") {
  Served served;
  Client& client = served.connect();
  std::string all;
  for (int i = 0; i < 100; ++i) all += get("/" + std::to_string(i));
  client.send(all);
  check_in_order(served, client, 100);
}

TEST_CASE("pipelined requests wait for the one before them, however late its answer comes") {
  Served served;
  served.handler = [&](http::Request, http::Responder responder) {
    served.kept.push_back(std::move(responder));
  };
  Client& client = served.connect();
  std::string all;
  for (int i = 0; i < 100; ++i) all += get("/" + std::to_string(i));
  client.send(all);
  for (int i = 0; i < 100; ++i) {
    REQUIRE(served.turn_until([&] { return !served.kept.empty(); }));
    CHECK(served.kept.size() == 1);
    http::Responder responder = std::move(served.kept.back());
    served.kept.clear();
    responder.respond(Served::text(served.requests.back().target));
  }
  check_in_order(served, client, 100);
}

TEST_CASE("more pipelined requests than are read at once are answered in order") {
  Served served;
  Client& client = served.connect();
  std::string all;
  for (int i = 0; i < 5000; ++i) all += get("/" + std::to_string(i));
  client.send(all);
  check_in_order(served, client, 5000);
}

TEST_CASE("pipelined requests for long answers leave the loop's turns to others as well") {
  Served served;
  served.handler = [](http::Request, http::Responder responder) {
    responder.respond(Served::text(std::string(64 * 1024, 'x')));
  };
  Client& client = served.connect();
  std::string all;
  for (int i = 0; i < 30; ++i) all += kGet;
  client.send(all);
  std::size_t answered = 0;
  std::size_t most_in_a_turn = 0;
  REQUIRE(served.turn_until([&] {
    most_in_a_turn = std::max(most_in_a_turn, served.requests.size() - answered);
    answered = served.requests.size();
    return answered == 30;
  }));
  CHECK(most_in_a_turn == 1);
  for (int i = 0; i < 30; ++i) CHECK(served.next_answer(client).body.size() == 64 * 1024);
}

TEST_CASE("a request that comes byte by byte is answered") {
  Served served;
  Client& client = served.connect();
  const std::string request = "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc";
  for (const char c : request) {
    client.send(std::string_view(&c, 1));
    REQUIRE(served.turn_until([&] { return client.has_sent_all(); }));
  }
  CHECK(served.next_answer(client).status == 200);
  CHECK(served.requests.at(0).body == "abc");
}

TEST_CASE("HEAD is answered with GET's headers and no body") {
  Served served;
  Client& client = served.connect();
  const Answer head = served.answer_to(client, "HEAD /a HTTP/1.1\r\nHost: h\r\n\r\n");
  const Answer get_answer = served.answer_to(client, kGet);
  CHECK(head.status == 200);
  CHECK(head.header_or_none("content-length") == "2");
  CHECK(head.header_or_none("content-type") == get_answer.header_or_none("content-type"));
  CHECK(get_answer.body == "/a");
}

TEST_CASE("HTTP/1.0 ends after its answer unless it asks to be kept") {
  Served served;
  Client& kept = served.connect();
  for (int i = 0; i < 2; ++i) {
    const Answer answer =
        served.answer_to(kept, "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    CHECK(answer.header_or_none("connection") == "keep-alive");
  }
  Client& once = served.connect();
  const std::string answer = served.all_for(once, "GET /a HTTP/1.0\r\n\r\n");
  CHECK(answer.starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(answer.find("Connection: close\r\n") != std::string::npos);
}

TEST_CASE("Connection: close is honoured and said, and requests behind it are not answered") {
  Served served;
  Client& client = served.connect();
  const std::string all = served.all_for(client, get("/1", "Connection: close\r\n") + get("/2"));
  CHECK(all.find("Connection: close\r\n") != std::string::npos);
  CHECK(all.ends_with("\r\n\r\n/1"));
  CHECK(served.requests.size() == 1);
  CHECK(client.error == 0);
}

TEST_CASE("a client that half-closes behind its request still gets the answer") {
  Served served;
  served.handler = [&](http::Request, http::Responder responder) {
    served.kept.push_back(std::move(responder));
  };
  Client& client = served.connect();
  client.send(kGet);
  client.half_close();
  REQUIRE(served.turn_until([&] { return !served.kept.empty(); }));
  for (int i = 0; i < 3; ++i) served.loop.run_once(false);  // the end is there before the answer
  served.kept.at(0).respond(Served::text("late"));
  CHECK(served.next_answer(client).body == "late");
  CHECK(served.turn_until_end(client));
  CHECK(client.error == 0);
  CHECK(served.turn_until([&] { return served.server->client_count() == 0; }));
}

TEST_CASE("a client that half-closes in the middle of a request gets 400") {
  Served served;
  Client& client = served.connect();
  client.send("GET /a HTTP/1.1\r\nHos");
  client.half_close();
  CHECK(served.next_answer(client).status == 400);
  CHECK(served.turn_until([&] { return served.server->client_count() == 0; }));
}

TEST_CASE("100 Continue comes before the body is sent") {
  Served served;
  Client& client = served.connect();
  client.send("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
  CHECK(served.next_answer(client).status == 100);
  CHECK(served.answer_to(client, "abc").status == 200);
  CHECK(served.requests.at(0).body == "abc");
}

TEST_CASE("a body that is too long is refused before it is asked for") {
  Served served;
  Client& client = served.connect();
  const std::string all =
      served.all_for(client,
                     "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 1048577\r\nExpect: "
                     "100-continue\r\n\r\n");
  CHECK(all.starts_with("HTTP/1.1 413 "));
}

TEST_CASE("upgrades and tunnels are answered like any other request") {
  Served served;
  Client& client = served.connect();
  CHECK(
      served.answer_to(client, get("/a", "Upgrade: websocket\r\nConnection: upgrade\r\n")).status ==
      200);
  CHECK(served.answer_to(client, kGet).status == 200);
  const std::string all =
      served.all_for(client, "CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n" + kGet);
  CHECK(served.requests.size() == 3);
  CHECK(all.find("Connection: close") != std::string::npos);
}

TEST_CASE("an answer of several megabytes arrives whole") {
  Served served;
  const std::string big(8 * 1024 * 1024, 'x');
  served.handler = [&](http::Request, http::Responder responder) {
    responder.respond(Served::text(big));
  };
  Client& client = served.connect();
  client.send(kGet + kGet);
  CHECK(served.next_answer(client).body == big);
  CHECK(served.next_answer(client).body == big);
  CHECK(served.answer_to(client, kGet).body == big);
}

TEST_CASE("a unix socket's peer comes with its credentials") {
  Served served;
  base::Fd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  sockaddr_un any{};
  any.sun_family = AF_UNIX;  // without a path Linux picks an abstract one (unix(7), autobind)
  REQUIRE(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&any), sizeof(sa_family_t)) ==
          0);
  REQUIRE(::listen(listener.get(), 16) == 0);
  const net::Address address = net::local_address(listener.get());
  std::vector<base::Fd> listeners;
  listeners.push_back(std::move(listener));
  http::Server on_unix(served.loop, served.clock, std::move(listeners),
                       [&](http::Request request, http::Responder responder) {
                         served.requests.push_back(request);
                         responder.respond({});
                       });
  on_unix.start();
  Client client(served.loop, address);
  CHECK(served.answer_to(client, kGet).status == 200);
  CHECK(served.requests.at(0).peer.is_unix());
  REQUIRE(served.requests.at(0).credentials.has_value());
  CHECK(served.requests.at(0).credentials->uid == ::getuid());
  CHECK(served.requests.at(0).credentials->pid == ::getpid());
}

TEST_CASE("a server that leaves ends idle clients and answers the others as their last") {
  Served served;
  served.handler = [&](http::Request, http::Responder responder) {
    served.kept.push_back(std::move(responder));
  };
  Client& idle = served.connect();
  Client& waiting = served.connect();
  Client& half_sent = served.connect();
  waiting.send(kGet);
  half_sent.send("GET /b HTTP/1.1\r\n");
  REQUIRE(served.turn_until(
      [&] { return served.server->client_count() == 3 && !served.kept.empty(); }));
  REQUIRE(served.turn_until([&] { return half_sent.has_sent_all(); }));
  for (int i = 0; i < 3; ++i) served.loop.run_once(false);

  served.server->stop_accepting();
  served.server->close_idle();
  CHECK(served.server->client_count() == 2);
  CHECK(served.turn_until_end(idle));
  CHECK(idle.received.empty());

  served.kept.at(0).respond(Served::text("last"));
  const Answer last = served.next_answer(waiting);
  CHECK(last.body == "last");
  CHECK(last.header_or_none("connection") == "close");
  CHECK(served.turn_until_end(waiting));

  half_sent.send("Host: h\r\n\r\n");
  REQUIRE(served.turn_until([&] { return served.kept.size() == 2; }));
  served.kept.at(1).respond(Served::text("too"));
  CHECK(served.next_answer(half_sent).header_or_none("connection") == "close");
  CHECK(served.turn_until_end(half_sent));
  waiting.half_close();
  half_sent.reset();
  CHECK(served.turn_until([&] { return served.server->client_count() == 0; }));
}

TEST_CASE("a request that lies in the socket when the server leaves is answered") {
  Served served;
  Client& client = served.connect();
  CHECK(served.answer_to(client, kGet).status == 200);
  REQUIRE(::send(client.fd(), kGet.data(), kGet.size(), 0) == static_cast<ssize_t>(kGet.size()));
  served.server->stop_accepting();
  served.server->close_idle();
  CHECK(served.next_answer(client).header_or_none("connection") == "close");
}
