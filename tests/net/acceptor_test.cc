#include "net/acceptor.h"

#include <ctime>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/log.h"
#include "support/catch.h"
#include "support/fd_count.h"
#include "support/full_fd_table.h"
#include "support/loop_until.h"
#include "support/tcp_peer.h"

namespace sc::test {
namespace {

using namespace std::chrono_literals;

struct AcceptorFixture {
  TcpPeer connect() const { return TcpPeer::connect(port); }
  // A client is connected a little before its last packet has come to the listener.
  void wait_for_waiting(int clients) {
    loop::Loop other;  // this one would take them
    REQUIRE(
        loop_until_seen(other, [&] { return net::waiting_clients(acceptor->fd()) == clients; }));
  }

  loop::Loop loop;
  std::vector<net::Accepted> accepted;
  std::optional<net::Acceptor> acceptor{
      std::in_place, loop, *net::listen_tcp(*net::Address::parse_ip("127.0.0.1", 0), {}),
      [this](net::Accepted client) { accepted.push_back(std::move(client)); }};
  std::uint16_t port = net::local_address(acceptor->fd()).port();
};

std::chrono::nanoseconds cpu_time() {
  timespec spent{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent);
  return std::chrono::seconds(spent.tv_sec) + std::chrono::nanoseconds(spent.tv_nsec);
}

TEST_CASE_METHOD(AcceptorFixture, "an acceptor takes every client, each once") {
  acceptor->resume();
  std::vector<TcpPeer> clients;
  std::set<std::uint16_t> expected;
  for (int i = 0; i < 100; ++i) {
    clients.push_back(connect());
    expected.insert(clients.back().port());
  }
  REQUIRE(loop_until(loop, [&] { return accepted.size() == 100; }));
  std::set<std::uint16_t> seen;
  for (const net::Accepted& client : accepted) seen.insert(client.peer.port());
  CHECK(seen == expected);
  turn(loop);
  CHECK(accepted.size() == 100);
}

TEST_CASE_METHOD(AcceptorFixture, "a turn takes only so many clients") {
  std::vector<TcpPeer> clients;
  for (int i = 0; i < 40; ++i) clients.push_back(connect());
  acceptor->resume();
  std::size_t before = 0;
  std::size_t most = 0;
  REQUIRE(loop_until(loop, [&] {
    most = std::max(most, accepted.size() - before);
    before = accepted.size();
    return accepted.size() == 40;
  }));
  // A turn of libuv may ask for events more than once while all that it asked for come.
  CHECK(most >= static_cast<std::size_t>(net::Acceptor::kAcceptsPerTurn));
}

TEST_CASE_METHOD(AcceptorFixture, "a turn takes only clients that waited before it began") {
  std::vector<TcpPeer> clients;
  bool one_more = false;
  acceptor.emplace(loop, *net::listen_tcp(*net::Address::parse_ip("127.0.0.1", 0), {}),
                   [&](net::Accepted client) {
                     accepted.push_back(std::move(client));
                     if (one_more) clients.push_back(connect());
                   });
  port = net::local_address(acceptor->fd()).port();
  const auto taken_in_a_turn = [&] {
    const std::size_t before = accepted.size();
    loop.run_once(false);
    return accepted.size() - before;
  };
  acceptor->resume();
  for (int i = 0; i < 25; ++i) clients.push_back(connect());
  wait_for_waiting(25);
  CHECK(taken_in_a_turn() == 1);  // as is known from the kernel's event
  CHECK(taken_in_a_turn() == 1);  // and of two in a row the others are counted
  CHECK(taken_in_a_turn() == net::Acceptor::kAcceptsPerTurn);
  CHECK(taken_in_a_turn() == 7);
  CHECK(taken_in_a_turn() == 0);

  for (int i = 0; i < 5; ++i) clients.push_back(connect());
  wait_for_waiting(5);
  CHECK(taken_in_a_turn() == 1);
  CHECK(taken_in_a_turn() == 1);
  one_more = true;
  CHECK(taken_in_a_turn() == 3);
  one_more = false;
  CHECK(loop_until(loop, [&] { return accepted.size() == clients.size(); }));
}

TEST_CASE_METHOD(AcceptorFixture,
                 "how many clients wait at a listener is told without taking one") {
  CHECK(net::waiting_clients(acceptor->fd()) == 0);
  const TcpPeer one = connect();
  const TcpPeer two = connect();
  wait_for_waiting(2);
  const net::AcceptResult first = net::accept(acceptor->fd());
  CHECK(net::waiting_clients(acceptor->fd()) == 1);
  CHECK(net::waiting_clients(first.accepted.fd.get()) == 0);
  CHECK(net::waiting_clients(-1) == 0);
}

TEST_CASE_METHOD(AcceptorFixture, "an acceptor starts paused, and clients wait in the backlog") {
  TcpPeer client = connect();
  client.send_all("early");
  turn(loop);
  CHECK(accepted.empty());
  acceptor->resume();
  REQUIRE(loop_until(loop, [&] { return accepted.size() == 1; }));
  CHECK(TcpPeer(std::move(accepted[0].fd)).receive(5) == "early");

  acceptor->pause();
  const TcpPeer second = connect();
  turn(loop);
  CHECK(accepted.size() == 1);
  acceptor->resume();
  CHECK(loop_until(loop, [&] { return accepted.size() == 2; }));
}

TEST_CASE("an acceptor paused by what it calls takes no further client") {
  loop::Loop loop;
  int taken = 0;
  net::Acceptor* self = nullptr;
  net::Acceptor acceptor(loop, *net::listen_tcp(*net::Address::parse_ip("127.0.0.1", 0), {}),
                         [&](net::Accepted) {
                           ++taken;
                           self->pause();
                         });
  self = &acceptor;
  const auto port = net::local_address(acceptor.fd()).port();
  const TcpPeer one = TcpPeer::connect(port);
  const TcpPeer two = TcpPeer::connect(port);
  acceptor.resume();
  REQUIRE(loop_until(loop, [&] { return taken > 0; }));
  turn(loop);
  CHECK(taken == 1);
}

TEST_CASE_METHOD(AcceptorFixture, "a client that waits when its acceptor dies is reset") {
  TcpPeer client = connect();
  acceptor.reset();
  CHECK(client.got_reset());
  CHECK_THROWS_AS(connect(), std::runtime_error);
}

// Counts the log's lines while it lives.
struct LineCount {
  LineCount() {
    base::log::set_sink(
        [this](base::log::Level, std::string_view sentence, std::span<const base::log::Field>) {
          ++lines;
          last = sentence;
        });
  }
  ~LineCount() { base::log::set_sink({}); }
  LineCount(const LineCount&) = delete;
  LineCount& operator=(const LineCount&) = delete;

  int lines = 0;
  std::string last;
};

TEST_CASE_METHOD(AcceptorFixture,
                 "out of descriptors an acceptor rests, says so, and goes on by itself") {
  LineCount log;
  std::vector<TcpPeer> clients;
  for (int i = 0; i < 5; ++i) clients.push_back(connect());
  FullFdTable full;
  acceptor->resume();

  const auto cpu_before = cpu_time();
  int turns = 0;
  bool over = false;
  loop::Timer end(loop, [&] { over = true; });
  end.start(5 * net::Acceptor::kAcceptBackOff + 20ms);
  REQUIRE(loop_until(loop, [&] {
    ++turns;
    return over;
  }));
  CHECK(accepted.empty());
  // For each rest its end and the next try, not one turn after the other.
  CHECK(turns < 30);
  CHECK(cpu_time() - cpu_before < 200ms);
  CHECK(log.lines == 1);  // tried again five times, told once a second at most
  CHECK(log.last.find("EMFILE") != std::string::npos);

  full.free(2);
  REQUIRE(loop_until(loop, [&] { return accepted.size() == 2; }));
  full.free(3);
  REQUIRE(loop_until(loop, [&] { return accepted.size() == 5; }));
  full.free(1);
  clients.push_back(connect());
  full.free(1);
  CHECK(loop_until(loop, [&] { return accepted.size() == 6; }));
}

TEST_CASE_METHOD(AcceptorFixture, "a pause while it rests is kept when the rest is over") {
  const LineCount log;
  const TcpPeer client = connect();
  std::optional<FullFdTable> full(std::in_place);
  acceptor->resume();
  REQUIRE(loop_until(loop, [&] { return log.lines > 0; }));
  full.reset();
  acceptor->pause();
  bool over = false;
  loop::Timer end(loop, [&] { over = true; });
  end.start(2 * net::Acceptor::kAcceptBackOff);
  REQUIRE(loop_until(loop, [&] { return over; }));
  CHECK(accepted.empty());
  acceptor->resume();
  CHECK(loop_until(loop, [&] { return accepted.size() == 1; }));
}

TEST_CASE_METHOD(AcceptorFixture, "an acceptor destroyed while it rests leaves nothing") {
  const LineCount log;
  const std::size_t before = fd_count();
  {
    const TcpPeer client = connect();
    const FullFdTable full;
    acceptor->resume();
    REQUIRE(loop_until(loop, [&] { return log.lines > 0; }));
    acceptor.reset();
  }
  CHECK(fd_count() == before - 1);  // the listener
}

}  // namespace
}  // namespace sc::test
