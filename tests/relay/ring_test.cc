#include <string>
#include <vector>

#include "core/end_reason.h"
#include "relay/pool_fixture.h"

namespace sc::test {
namespace {

using core::EndReason;

std::uint64_t ended(const relay::WorkerPool& pool, std::uint16_t port, EndReason reason) {
  return pool.traffic(port).ended.at(static_cast<std::size_t>(reason));
}

struct RingFixture : PoolFixture {
  void change(std::uint16_t port, std::uint16_t backend_port) {
    pool.change(stream_at(port, "127.0.0.1", backend_port).spec);
  }
  void check_ring(std::uint16_t port, const std::string& ring) {
    turn_until([&] { return ended(pool, port, EndReason::loop) == 1; });
    CHECK(pool.counters(port)->sessions_total == 1);
    const auto failures = pool.failures(port).sessions;
    REQUIRE(failures.size() == 1);
    CHECK_THAT(core::in_words(failures.front()), Catch::Contains(ring));
  }
};

TEST_CASE_METHOD(RingFixture,
                 "each session of a ring over two workers ends as `loop`, by a reset") {
  const std::uint16_t first = open(1);
  const std::uint16_t second = open(first);
  change(first, second);
  const base::Fd client = connect_to(first);
  const std::string ring =
      std::to_string(first) + " -> " + std::to_string(second) + " -> " + std::to_string(first);
  check_ring(first, ring);
  check_ring(second, ring);
  turn_until([&] { return pool.sessions() == 0; });
}

TEST_CASE_METHOD(RingFixture, "a client keeps its path when another worker gets it") {
  const std::uint16_t first = open(1);                   // at the first worker
  const std::uint16_t second = open(first);              // at the second one
  const std::uint16_t other = open(port_of(backend));    // at the first one
  const std::uint16_t crowded = open(port_of(backend));  // at the second one
  REQUIRE(pool.counters(other)->home != pool.counters(crowded)->home);
  change(first, second);
  std::vector<Pair> pairs;
  for (int i = 0; i < 4; ++i) pairs.push_back(connect(crowded));
  // The third one went to the first worker.
  end_writes(pairs[2].client);
  end_writes(pairs[2].backend);
  turn_until([&] { return pool.sessions() == 3; });
  const base::Fd client = connect_to(first);
  check_ring(second, std::to_string(first) + " -> " + std::to_string(second) + " -> " +
                         std::to_string(first));
  const auto ended_at = relay::Worker::index_of(pool.failures(second).sessions.front().id);
  CHECK(ended_at != pool.counters(second)->home);
}

TEST_CASE_METHOD(RingFixture, "streams in a row carry bytes") {
  const std::uint16_t last = open(port_of(backend));
  const std::uint16_t middle = open(last);
  const std::uint16_t first = open(middle);
  const Pair pair = connect(first);
  CHECK(talks(pair));
  CHECK(pool.sessions() == 3);
}

// As when the dialling worker does not know that the address is this host's.
TEST_CASE_METHOD(RingFixture, "an accepted connection that closes a ring ends before it dials") {
  const std::uint16_t port = open(port_of(backend));
  const net::Address to = *net::Address::parse_ip("127.0.0.1", port);
  net::OwnPaths::Dialing dialing(pool.paths(), to);
  auto socket = net::start_connect(to);
  REQUIRE(socket);
  const auto announced = dialing.announce({port, nullptr}, socket->get());
  const std::string ring = std::to_string(port) + " -> " + std::to_string(port);
  check_ring(port, ring);
  CHECK_THAT(announced.dial()->ring(), Catch::EndsWith(ring));
  turn_until([&] { return net::take_error(socket->get()) == ECONNRESET; });
  turn_until([&] { return pool.sessions() == 0; });
}

TEST_CASE_METHOD(RingFixture, "a closed listener's port is another program's") {
  const std::uint16_t port = open(port_of(backend));
  const net::Address to = *net::Address::parse_ip("127.0.0.1", port);
  CHECK(pool.paths().may_be_own(to));
  close(port, std::chrono::milliseconds(0));
  CHECK_FALSE(pool.paths().may_be_own(to));
}

TEST_CASE_METHOD(RingFixture, "a stream's listener takes what it is bound to") {
  core::StreamSpec stream = at(9000);  // this pool listens on 127.0.0.1
  CHECK(pool.takes(stream, {"127.0.0.1", 9000}));
  CHECK(pool.takes(stream, {"0.0.0.0", 9000}));
  CHECK_FALSE(pool.takes(stream, {"127.0.0.1", 9001}));
  CHECK_FALSE(pool.takes(stream, {"127.0.0.2", 9000}));
  CHECK_FALSE(pool.takes(stream, {"localhost", 9000}));
  stream.listen_address = "::";
  CHECK(pool.takes(stream, {"127.0.0.2", 9000}));
  CHECK(pool.takes(stream, {"::1", 9000}));
  CHECK(pool.takes(stream, {"localhost", 9000}));
  CHECK_FALSE(pool.takes(stream, {"localhost", 9001}));
  CHECK_FALSE(pool.takes(stream, {"192.0.2.1", 9000}));
}

}  // namespace
}  // namespace sc::test
