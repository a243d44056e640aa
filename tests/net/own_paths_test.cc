#include "net/own_paths.h"

#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "loop/loop.h"
#include "net/dial_fixture.h"
#include "net/dialer.h"
#include "support/catch.h"
#include "support/fake_host.h"
#include "support/loop_until.h"
#include "support/system_resolver.h"

namespace sc::test {
namespace {

using net::Address;
using net::DialOrigin;
using net::OwnPaths;

Address at(const std::string& ip, std::uint16_t port) { return *Address::parse_ip(ip, port); }

struct PathsFixture {
  loop::Loop loop;
  net::LocalAddresses local{loop};
  OwnPaths paths{local};

  // A connection of a stream to a listener of the service, and its other end.
  struct Pair {
    base::Fd socket;
    OwnPaths::Announced announced;
    net::Accepted client;
  };
  Pair connect(const base::Fd& listener, const Address& to, const DialOrigin& origin) {
    OwnPaths::Dialing dialing(paths, to);
    auto socket = net::start_connect(to);
    REQUIRE(socket);
    auto announced = dialing.announce(origin, socket->get());
    net::AcceptResult taken = net::accept(listener.get());
    REQUIRE(taken.error == 0);
    return {std::move(*socket), std::move(announced), std::move(taken.accepted)};
  }
  base::Fd listen(const std::string& ip) {
    auto listener = net::listen_tcp(at(ip, 0), {});
    REQUIRE(listener);
    paths.add_listener(net::local_address(listener->get()));
    return std::move(*listener);
  }
};

std::uint16_t port_of(const base::Fd& listener) {
  return net::local_address(listener.get()).port();
}

TEST_CASE("a listener takes connections to its own addresses alone") {
  struct Row {
    const char* bound;
    const char* to;
    bool takes;
  };
  for (const Row& row : std::vector<Row>{{"::", "127.0.0.1", true},
                                         {"::", "::1", true},
                                         {"::", "0.0.0.0", true},
                                         {"0.0.0.0", "10.1.2.3", true},
                                         {"0.0.0.0", "::1", false},
                                         {"0.0.0.0", "::ffff:10.1.2.3", true},
                                         {"0.0.0.0", "::", false},
                                         {"127.0.0.1", "0.0.0.0", true},
                                         {"127.0.0.1", "127.0.0.2", false},
                                         {"127.0.0.1", "::ffff:127.0.0.1", true},
                                         {"127.0.0.1", "::ffff:0.0.0.0", true},
                                         {"::1", "::", true},
                                         {"::1", "0.0.0.0", false},
                                         {"10.1.2.3", "127.0.0.1", false},
                                         {"10.1.2.3", "0.0.0.0", false},
                                         {"10.1.2.3", "10.1.2.3", true}}) {
    CAPTURE(row.bound, row.to);
    CHECK(net::takes(at(row.bound, 9000), at(row.to, 9000)) == row.takes);
  }
}

TEST_CASE_METHOD(PathsFixture,
                 "an accepted connection is known by the streams that it has passed") {
  const base::Fd listener = listen("::");
  const std::uint16_t port = port_of(listener);
  const char* const to = GENERATE("127.0.0.1", "127.0.0.9", "0.0.0.0", "::1", "::");
  auto first = connect(listener, at(to, port), {8999, nullptr});
  const auto via = paths.take(port, first.client);
  REQUIRE(via);
  CHECK(via->path() == net::StreamPath{8999});
  CHECK_FALSE(via->closes_ring_at(port));
  CHECK(via->closes_ring_at(8999));
  auto second = connect(listener, at(to, port), {port, via});
  const auto next = paths.take(port, second.client);
  REQUIRE(next);
  CHECK(next->path() == net::StreamPath{8999, port});
}

TEST_CASE_METHOD(PathsFixture, "a path belongs to its own connection and ends with it") {
  const base::Fd listener = listen("127.0.0.1");
  const Address to = net::local_address(listener.get());
  auto socket = net::start_connect(to);
  REQUIRE(socket);
  net::AcceptResult foreign = net::accept(listener.get());
  REQUIRE(foreign.error == 0);
  CHECK_FALSE(paths.take(to.port(), foreign.accepted));
  auto own = connect(listener, to, {8999, nullptr});
  CHECK_FALSE(paths.take(to.port(), foreign.accepted));
  own.announced = {};
  CHECK_FALSE(paths.take(to.port(), own.client));
}

TEST_CASE_METHOD(PathsFixture, "a path is taken once, so a later client with its port has none") {
  const base::Fd listener = listen("127.0.0.1");
  const Address to = net::local_address(listener.get());
  auto own = connect(listener, to, {8999, nullptr});
  CHECK(paths.take(to.port(), own.client));
  // The dialling end has not seen a reset that freed its port.
  CHECK_FALSE(paths.take(to.port(), own.client));
}

TEST_CASE_METHOD(PathsFixture, "a connect that fails leaves no path behind") {
  const base::Fd listener = listen("127.0.0.1");
  const Address to = net::local_address(listener.get());
  { const OwnPaths::Dialing abandoned(paths, to); }
  auto own = connect(listener, to, {8999, nullptr});
  CHECK(paths.take(to.port(), own.client));
}

TEST_CASE_METHOD(PathsFixture, "an end that finds a ring shows it to the dialling end alone") {
  const base::Fd listener = listen("127.0.0.1");
  const Address to = net::local_address(listener.get());
  auto first = connect(listener, to, {8998, nullptr});
  auto second = connect(listener, to, {8999, paths.take(to.port(), first.client)});
  CHECK(second.announced.dial()->ring().empty());
  paths.take(to.port(), second.client)->set_ring("8998 -> 8999 -> 8998");
  CHECK(second.announced.dial()->ring() == "8998 -> 8999 -> 8998");
  CHECK(first.announced.dial()->ring().empty());  // its session may still connect elsewhere
}

TEST_CASE_METHOD(PathsFixture, "only listeners that the connection has passed make a ring") {
  paths.add_listener(at("127.0.0.1", 9000));
  paths.add_listener(at("::", 9001));
  const DialOrigin origin{9000, nullptr};
  CHECK(paths.ring(origin, at("127.0.0.1", 9000)) ==
        "the connection runs into a ring of streams: 9000 -> 9000");
  CHECK_FALSE(paths.ring(origin, at("127.0.0.2", 9000)));  // another program's, perhaps
  CHECK_FALSE(paths.ring(origin, at("192.0.2.1", 9000)));
  CHECK_FALSE(paths.ring(origin, at("127.0.0.1", 9001)));
  CHECK(paths.may_be_own(at("127.0.0.1", 9001)));
  CHECK_FALSE(paths.may_be_own(at("192.0.2.1", 9001)));
  CHECK_FALSE(paths.may_be_own(at("127.0.0.1", 9002)));
  paths.remove_listener(9000);
  CHECK_FALSE(paths.ring(origin, at("127.0.0.1", 9000)));
  CHECK_FALSE(paths.may_be_own(at("127.0.0.1", 9000)));
}

TEST_CASE_METHOD(PathsFixture, "a row of too many streams ends") {
  const Address to = at("127.0.0.1", 9000);
  paths.add_listener(to);
  std::shared_ptr<net::OwnDial> via;
  for (std::size_t i = 1; i < OwnPaths::kMostStreams; ++i) {
    const DialOrigin origin{static_cast<std::uint16_t>(i), via};
    CHECK_FALSE(paths.ring(origin, to));
    via = std::make_shared<net::OwnDial>(origin, to, Address());
  }
  const auto told = paths.ring({static_cast<std::uint16_t>(OwnPaths::kMostStreams), via}, to);
  REQUIRE(told);
  CHECK_THAT(*told, Catch::StartsWith("the connection passes more than 64 streams"));
  CHECK_FALSE(via->closes_ring_at(9000));
  const net::OwnDial last({64, via}, to, Address());
  CHECK(last.closes_ring_at(9000));
}

TEST_CASE_METHOD(PathsFixture, "a dialer skips an address that closes a ring and tries the next") {
  const base::Fd listener = listen("127.0.0.1");
  const std::uint16_t port = port_of(listener);
  net::DialOptions options;
  options.paths = &paths;
  options.origin = {port, nullptr};
  std::optional<net::Dialer::Outcome> outcome;
  net::Dialer dialer(loop, {"127.0.0.1", port}, options,
                     [&](net::Dialer::Outcome told) { outcome = std::move(told); });
  CHECK_FALSE(outcome);
  REQUIRE(loop_until(loop, [&] { return outcome.has_value(); }));
  REQUIRE_FALSE(outcome->dialed);
  CHECK(outcome->error.failure == net::DialFailure::loop);
  CHECK(outcome->error.message == "backend 127.0.0.1:" + std::to_string(port) +
                                      ": the connection runs into a ring of streams: " +
                                      std::to_string(port) + " -> " + std::to_string(port));
  REQUIRE(outcome->trace.tried.size() == 1);
  CHECK(outcome->trace.tried[0].result == net::DialTry::Result::loop);
}

// The accepting end finds a ring and resets the connection before the dialer's loop has turned.
struct ResetFixture : PathsFixture {
  FakeHost host;
  SystemResolver names{loop};
  net::DialOptions options;
  std::optional<net::Dialer::Outcome> outcome;
  std::optional<net::Dialer> dialer;
  base::Fd listener = listen("127.0.0.1");
  std::uint16_t port = port_of(listener);

  void dial(const std::string& backend, base::Fd socket = {}) {
    options.paths = &paths;
    dialer.emplace(
        loop, base::HostPort{backend, port}, options,
        [&](net::Dialer::Outcome told) { outcome = std::move(told); }, std::move(socket));
  }
  // Dials a name with both addresses, and stops when the loop has started to connect to `ring`.
  void dial_both(const std::string& ring, const std::string& other, bool is_ring_first) {
    host.add_name("two.test", is_ring_first ? std::vector{ring, other} : std::vector{other, ring});
    options.resolver = &names.client;
    dial("two.test");
    const auto is_dialled = [&] { return net::waiting_clients(listener.get()) > 0; };
    REQUIRE(loop_until(loop, is_dialled));
    REQUIRE_FALSE(outcome);
  }
  void find_ring_and_reset(const std::string& ring) {
    net::AcceptResult taken = net::accept(listener.get());
    REQUIRE(taken.error == 0);
    const auto via = paths.take(port, taken.accepted);
    REQUIRE(via);
    via->set_ring(ring);
    net::reset_on_close(taken.accepted.fd.get());
  }
  void check_ended_as_loop(const std::string& ring) {
    REQUIRE(loop_until(loop, [&] { return outcome.has_value(); }));
    REQUIRE_FALSE(outcome->dialed);
    CHECK(outcome->error.failure == net::DialFailure::loop);
    CHECK(outcome->error.cause == ring);
    CHECK_THAT(outcome->error.message, Catch::EndsWith(": " + ring));
    CHECK(outcome->error.error == 0);
  }
};

TEST_CASE_METHOD(ResetFixture, "a dial fails as `loop` if the ring's reset comes before its look") {
  options.origin = {8999, nullptr};
  dial("127.0.0.1", GENERATE(false, true) ? net::make_socket(AF_INET) : base::Fd());
  find_ring_and_reset("8999 -> 9000 -> 8999");
  check_ended_as_loop("8999 -> 9000 -> 8999");
  REQUIRE(outcome->trace.tried.size() == 1);
  CHECK(outcome->trace.tried[0].error == ECONNRESET);
}

TEST_CASE_METHOD(ResetFixture, "a reset without a ring fails as `refused`") {
  options.origin = {8999, nullptr};
  dial("127.0.0.1");
  net::AcceptResult taken = net::accept(listener.get());
  REQUIRE(taken.error == 0);
  net::reset_on_close(taken.accepted.fd.get());
  taken.accepted.fd.reset();
  REQUIRE(loop_until(loop, [&] { return outcome.has_value(); }));
  CHECK(outcome->error.failure == net::DialFailure::refused);
}

TEST_CASE_METHOD(ResetFixture, "the ring of one attempt is the failure if the other is refused") {
  options.origin = {8999, nullptr};
  const bool is_first = GENERATE(false, true);
  dial_both("127.0.0.1", "127.0.0.2", is_first);
  find_ring_and_reset("8999 -> 9000 -> 8999");
  check_ended_as_loop("8999 -> 9000 -> 8999");
  CHECK(outcome->trace.tried.size() == 2);
}

TEST_CASE_METHOD(ResetFixture, "the ring of one attempt is the failure if the other times out") {
  const SilentListener silent("127.0.0.2", port);
  options.origin = {8999, nullptr};
  options.timeout = net::Dialer::kAttemptDelay * 2;
  dial_both("127.0.0.1", "127.0.0.2", false);
  find_ring_and_reset("8999 -> 9000 -> 8999");
  check_ended_as_loop("8999 -> 9000 -> 8999");
}

TEST_CASE_METHOD(PathsFixture, "a new connection takes the place of a reset one with its source") {
  const base::Fd listener = listen("127.0.0.1");
  const Address to = net::local_address(listener.get());
  auto first = connect(listener, to, {8998, nullptr});
  Address source = net::local_address(first.socket.get());
  base::Fd socket = net::make_socket(AF_INET);
  const auto reset_and_bind = [&] {
    source = net::local_address(first.socket.get());
    net::reset_on_close(first.client.fd.get());
    first.client.fd.reset();
    first.socket.reset();  // its announcement is left
    return ::bind(socket.get(), source.raw(), source.size()) == 0;
  };
  // A port that another connection of this host has as well, perhaps in TIME_WAIT, cannot be bound.
  for (int tries = 0; !reset_and_bind(); ++tries) {
    REQUIRE(tries < 200);
    first = connect(listener, to, {8998, nullptr});
  }
  {
    OwnPaths::Dialing dialing(paths, to);
    REQUIRE_FALSE(net::start_connect(socket.get(), to));
    const auto second = dialing.announce({8999, nullptr}, socket.get());
    net::AcceptResult taken = net::accept(listener.get());
    REQUIRE(taken.error == 0);
    const bool is_first_seen = GENERATE(false, true);  // that its connection was reset
    if (is_first_seen) first.announced = {};
    CHECK(paths.take(to.port(), taken.accepted).get() == second.dial());
  }
  CHECK_FALSE(paths.take(to.port(), net::Accepted{base::Fd(), source}));
}

TEST_CASE_METHOD(PathsFixture, "a dialed connection is announced until its socket closes") {
  const base::Fd listener = listen("127.0.0.1");
  const std::uint16_t port = port_of(listener);
  net::DialOptions options;
  options.paths = &paths;
  options.origin = {8999, nullptr};
  const bool is_given = GENERATE(false, true);
  std::optional<net::Dialer::Outcome> outcome;
  std::optional<net::Dialer> dialer;
  dialer.emplace(
      loop, base::HostPort{"127.0.0.1", port}, options,
      [&](net::Dialer::Outcome told) { outcome = std::move(told); },
      is_given ? net::make_socket(AF_INET) : base::Fd());
  // Before the dialer has heard that it is connected.
  net::AcceptResult taken = net::accept(listener.get());
  REQUIRE(taken.error == 0);
  const bool is_taken = GENERATE(false, true);
  const auto via = is_taken ? paths.take(port, taken.accepted) : nullptr;
  REQUIRE(loop_until(loop, [&] { return outcome.has_value(); }));
  REQUIRE(outcome->dialed);
  REQUIRE(outcome->dialed->own.dial() != nullptr);
  CHECK(outcome->dialed->own.dial()->path() == net::StreamPath{8999});
  if (is_taken) CHECK(outcome->dialed->own.dial() == via.get());
  outcome.reset();
  CHECK_FALSE(paths.take(port, taken.accepted));
}

}  // namespace
}  // namespace sc::test
