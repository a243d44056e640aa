#include <chrono>
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

const std::string kGet = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
const std::string kKept = "GET /kept HTTP/1.1\r\nHost: h\r\n\r\n";

// A server with few places. Its handler keeps requests for /kept; time between steps is real, as
// who waited longest is told by the loop's clock.
struct Places : Served {
  explicit Places(std::size_t most, std::size_t reserved = 0) {
    base::log::set_sink([this](base::log::Level level, std::string_view sentence, auto) {
      if (level == base::log::Level::warning) warnings.emplace_back(sentence);
    });
    http::ServerOptions options;
    options.max_clients = most;
    options.reserved_clients = reserved;
    options.is_trusted = [this](const net::Address&) { return trusts_newcomers; };
    options.host_of = [this](const net::Address&) { return host_of_newcomers; };
    open(std::move(options));
    handler = [this](const http::Request& request, http::Responder responder) {
      if (request.target == "/kept") {
        kept.push_back(std::move(responder));
      } else {
        responder.respond(text(request.target));
      }
    };
  }
  ~Places() { base::log::set_sink({}); }

  // Comes, sends these bytes, and has been read by the server; a later one is newer.
  Client& arrive(const std::string& bytes) {
    const std::size_t before = server->client_count() + server->evicted() + server->turned_away();
    Client& client = connect();
    if (!bytes.empty()) client.send(bytes);
    REQUIRE(turn_until([&] {
      return client.has_sent_all() &&
             server->client_count() + server->evicted() + server->turned_away() > before;
    }));
    let_time_pass(5ms);
    return client;
  }
  Client& arrive_asking() {
    Client& client = connect();
    CHECK(answer_to(client, kGet).status == 200);
    let_time_pass(5ms);
    return client;
  }
  Client& arrive_kept() {
    const std::size_t before = kept.size();
    Client& client = connect();
    client.send(kKept);
    REQUIRE(turn_until([&] { return kept.size() == before + 1; }));
    return client;
  }
  void let_time_pass(std::chrono::milliseconds time) {
    bool due = false;
    loop::Timer timer(loop, [&] { due = true; });
    timer.start(time);
    REQUIRE(turn_until([&] { return due; }));
  }

  bool trusts_newcomers = true;
  std::string host_of_newcomers = "one host";
  std::vector<std::string> warnings;
};

}  // namespace

TEST_CASE("a newcomer gets the place of the client that has waited longest without a request") {
  Places served(3);
  Client& first = served.arrive_asking();
  Client& second = served.arrive_asking();
  Client& silent = served.arrive("");
  CHECK(served.answer_to(first, kGet).status == 200);  // now the second one is the longest idle
  served.let_time_pass(5ms);
  CHECK(served.arrive_asking().received.empty());
  CHECK(served.turn_until_end(second));
  CHECK(second.received.empty());
  CHECK(second.error == 0);
  served.arrive_asking();
  CHECK(served.turn_until_end(silent));
  CHECK(silent.received.empty());
  CHECK_FALSE(first.ended);
  CHECK(served.server->client_count() == 3);
  CHECK(served.server->evicted() == 2);
  CHECK(served.server->limit_hits() == 0);
  CHECK(served.warnings.size() == 1);  // one line a second at most
  served.clock.advance(1s);
  served.arrive_asking();
  CHECK(served.turn_until_end(first));
  CHECK(served.warnings.size() == 2);
}

TEST_CASE("a client that drips its request does not keep its place by it, and is told why") {
  Places served(2);
  Client& dripping = served.arrive("GET / HTTP/1.1\r\n");
  Client& younger = served.arrive("");
  for (int i = 0; i < 3; ++i) {
    dripping.send("A: b\r\n");
    served.let_time_pass(5ms);
  }
  served.arrive_asking();
  CHECK(served.next_answer(dripping).status == 408);
  CHECK(served.turn_until_end(dripping));
  CHECK_FALSE(younger.ended);
}

TEST_CASE("whose request is handled keeps its place, and newcomers wait until one is free") {
  Places served(2);
  Client& first = served.arrive_kept();
  Client& second = served.arrive_kept();
  Client& third = served.connect();
  third.send(kGet);
  served.let_time_pass(100ms);
  CHECK(third.received.empty());
  CHECK_FALSE(first.ended);
  CHECK_FALSE(second.ended);
  CHECK(served.server->evicted() == 0);
  CHECK(served.server->limit_hits() >= 1);
  CHECK(served.warnings.size() == 1);

  SECTION("one ends") { second.reset(); }
  SECTION("one is answered") {
    served.kept.at(1).respond(Served::text("late"));
    CHECK(served.next_answer(second).body == "late");
  }
  served.kept.at(0).respond(Served::text("early"));
  CHECK(served.next_answer(third).status == 200);
  CHECK(served.next_answer(first).body == "early");
  CHECK(served.server->client_count() <= 2);
}

TEST_CASE("a client that takes nothing of its answer loses its place") {
  Places served(1);
  const std::string big(8 * 1024 * 1024, 'x');
  served.handler = [&](const http::Request& request, http::Responder responder) {
    responder.respond(Served::text(request.target == "/a" ? "a" : big));
  };
  Client& deaf = served.connect();
  deaf.stop_reading();
  deaf.send(kKept);
  REQUIRE(served.turn_until([&] { return served.requests.size() == 1; }));
  CHECK(served.answer_to(served.connect(), kGet).body == "a");
  CHECK(served.server->evicted() == 1);
}

TEST_CASE("clients behind their last answer make place as well") {
  Places served(1);
  Client& refused = served.connect();
  CHECK(served.answer_to(refused, "nonsense\r\n\r\n").status == 400);
  CHECK(served.server->client_count() == 1);
  served.arrive_asking();
  CHECK(served.server->client_count() == 1);
}

TEST_CASE("a thousand clients that say little do not keep out one that asks") {
  Places served(64);
  for (int i = 0; i < 400; ++i) {
    Client& slow = served.connect();
    slow.send("GET / HTTP/1.1\r\nX: ");
    if (i % 50 == 0) served.arrive_asking();
  }
  CHECK(served.server->client_count() <= 64);
  CHECK(served.arrive_asking().received.empty());
}

TEST_CASE("clients of other hosts take no place of those of this one") {
  Places served(4, 2);
  served.trusts_newcomers = false;
  Client& silent = served.arrive("");
  Client& other = served.arrive_asking();
  Client& third = served.arrive_asking();  // gets the place of the silent one
  CHECK(served.turn_until_end(silent));
  CHECK(served.server->client_count() == 2);
  CHECK(served.answer_to(other, kGet).status == 200);

  served.trusts_newcomers = true;
  Client& local_client = served.arrive("");
  Client& local_other = served.arrive("");
  CHECK(served.server->client_count() == 4);

  served.let_time_pass(5ms);
  served.trusts_newcomers = false;
  served.arrive_asking();
  CHECK(served.turn_until_end(third));
  served.let_time_pass(5ms);
  CHECK_FALSE(local_client.ended);
  CHECK_FALSE(local_other.ended);

  // One of this host gets the place of another host's first, though it has waited less.
  served.trusts_newcomers = true;
  served.arrive_asking();
  CHECK(served.turn_until_end(other));
  CHECK_FALSE(local_client.ended);
  CHECK(served.server->turned_away() == 0);
}

TEST_CASE("a host that comes again and again takes no place of a host with few places") {
  Places served(16, 0);
  served.trusts_newcomers = false;
  served.host_of_newcomers = "quiet";
  Client& quiet = served.arrive_asking();
  served.host_of_newcomers = "flood";
  for (int i = 0; i < 40; ++i) served.connect().send("GET / HTTP/1.1\r\nX: ");
  REQUIRE(served.turn_until([&] { return served.server->evicted() >= 28; }));
  CHECK_FALSE(quiet.ended);
  CHECK(served.answer_to(quiet, kGet).status == 200);
  CHECK(served.server->client_count() == 13);  // its share of 16 is 12
}

TEST_CASE("a newcomer gets the place of a host that has more, though others have waited longer") {
  Places served(4, 0);
  served.trusts_newcomers = false;
  served.host_of_newcomers = "quiet";
  Client& quiet = served.arrive_asking();
  served.host_of_newcomers = "flood";
  Client& first = served.arrive("");
  served.arrive("");
  served.arrive("");
  served.host_of_newcomers = "new";
  served.arrive_asking();
  CHECK(served.turn_until_end(first));
  CHECK_FALSE(quiet.ended);
  CHECK(served.answer_to(quiet, kGet).status == 200);
}

TEST_CASE("a host that has its share by requests that are handled leaves places to others") {
  Places served(4, 0);
  served.trusts_newcomers = false;
  served.host_of_newcomers = "greedy";
  for (int i = 0; i < 3; ++i) served.arrive_kept();
  CHECK(served.turn_until_end(served.connect()));
  CHECK(served.server->turned_away() == 1);
  served.host_of_newcomers = "new";
  CHECK(served.arrive_asking().received.empty());
}

TEST_CASE("a host is an IPv4 address, or the /64 of an IPv6 address") {
  const auto key = [](const char* ip) { return http::host_key(*net::Address::parse_ip(ip, 1)); };
  CHECK(key("192.0.2.1") == key("::ffff:192.0.2.1"));
  CHECK(key("192.0.2.1") != key("192.0.2.2"));
  CHECK(key("2001:db8:0:1::1") == key("2001:db8:0:1:ffff::2"));
  CHECK(key("2001:db8:0:1::1") != key("2001:db8:0:2::1"));
}

TEST_CASE("clients of other hosts are closed at once where none of them can be ended") {
  Places served(4, 2);
  served.trusts_newcomers = false;
  served.arrive_kept();
  served.arrive_kept();
  for (int i = 0; i < 3; ++i) CHECK(served.turn_until_end(served.connect()));
  CHECK(served.server->turned_away() == 3);
  CHECK(served.warnings.size() == 1);  // one line a second at most
  served.clock.advance(1s);
  CHECK(served.turn_until_end(served.connect()));
  CHECK(served.warnings.size() == 2);

  served.trusts_newcomers = true;
  served.arrive_asking();
  served.arrive_asking();
  CHECK(served.server->client_count() == 4);
  served.trusts_newcomers = false;  // the trusted ones are idle, but not theirs to end
  CHECK(served.turn_until_end(served.connect()));
  CHECK(served.server->evicted() == 0);
  CHECK(served.server->client_count() == 4);
}

TEST_CASE("trusted are the loopback addresses and unix sockets unless told otherwise") {
  const http::ServerOptions options;
  for (const char* ip : {"127.0.0.1", "::1", "::ffff:127.0.0.1"})
    CHECK(options.is_trusted(*net::Address::parse_ip(ip, 1)));
  for (const char* ip : {"192.0.2.1", "2001:db8::1", "0.0.0.0"})
    CHECK_FALSE(options.is_trusted(*net::Address::parse_ip(ip, 1)));
  sockaddr_storage raw{};
  raw.ss_family = AF_UNIX;
  CHECK(options.is_trusted(
      net::Address(reinterpret_cast<const sockaddr*>(&raw), sizeof(sa_family_t))));
}

TEST_CASE("a client that has left while its answer waits gives its place to a newcomer") {
  Places served(3);
  const bool sends_more = GENERATE(false, true);
  for (int i = 0; i < 3; ++i) {
    Client& client = served.arrive_kept();
    if (sends_more) client.send(kGet);  // the end is behind bytes that are not read
    served.let_time_pass(5ms);
    client.half_close();
  }
  served.let_time_pass(5ms);
  CHECK(served.answer_to(served.connect(), kGet).status == 200);
  CHECK(served.server->client_count() <= 3);
  for (http::Responder& responder : served.kept) responder.respond(Served::text("late"));
}

TEST_CASE("a client that has ended its side gets its answer while places are free") {
  Places served(3);
  Client& client = served.arrive_kept();
  client.half_close();
  served.let_time_pass(5ms);
  CHECK(served.answer_to(served.connect(), kGet).status == 200);
  served.kept.front().respond(Served::text("answer"));
  REQUIRE(served.turn_until([&] { return client.received.find("answer") != std::string::npos; }));
}

TEST_CASE("a client that resets its connection loses its place at once") {
  Places served(3);
  Client& client = served.arrive_kept();
  client.reset();
  REQUIRE(served.turn_until([&] { return served.server->client_count() == 0; }));
  CHECK_FALSE(served.kept.front().is_waited_for());
}
