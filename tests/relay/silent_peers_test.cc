#include "relay/silent_peers.h"

#include <cerrno>
#include <optional>
#include <string>

#include "net/tcp_answers.h"
#include "relay/pool_fixture.h"
#include "support/catch.h"
#include "support/namespaces.h"

namespace sc::test {
namespace {

using namespace std::chrono_literals;
using core::EndReason;
using net::TcpAnswers;
using relay::Silence;

constexpr auto kEvery = 1000ms;
constexpr auto kLimit = 10'000ms;

// The silence of one side, looked at once a second.
struct SilenceFixture {
  Silence silence;
  base::Instant now{std::chrono::hours{1}};
  TcpAnswers known{.is_outstanding = true, .since_ack = 1h};

  // True: it was taken for dead after so many looks.
  std::optional<int> dead_after(int looks) {
    for (int i = 0; i <= looks; ++i) {
      if (silence.note(known, now, kEvery, kLimit)) return i;
      now += kEvery;
      known.since_ack += kEvery;
    }
    return std::nullopt;
  }
};

TEST_CASE_METHOD(SilenceFixture, "bytes after an hour of quiet are no silence of an hour") {
  CHECK_FALSE(silence.note(known, now, kEvery, kLimit));
  now += kLimit - 1ms;
  known.since_ack += kLimit - 1ms;
  known.resent = 9;
  CHECK_FALSE(silence.note(known, now, kEvery, kLimit));
  now += 1ms;
  known.since_ack += 1ms;
  CHECK(silence.note(known, now, kEvery, kLimit));
}

TEST_CASE_METHOD(SilenceFixture, "a peer that was asked less than twice is not taken for dead") {
  CHECK_FALSE(dead_after(50));
  known.resent += 1;
  CHECK_FALSE(dead_after(50));
  known.resent += 1;
  CHECK(dead_after(0) == 0);
}

TEST_CASE_METHOD(SilenceFixture, "each kind of repetition counts as a question to the peer") {
  SECTION("segments that were sent again") { known.resent = 1000; }
  SECTION("timeouts of a host that has no route any more") { known.timeouts = 3; }
  CHECK_FALSE(dead_after(20));
  SECTION("segments that were sent again, later") { known.resent = 1002; }
  SECTION("timeouts, later") { known.timeouts = 5; }
  SECTION("probes of a closed window") { known.probes = 2; }
  const bool has_asked = known.resent == 1002 || known.timeouts == 5 || known.probes == 2;
  CHECK(dead_after(0).has_value() == has_asked);
}

TEST_CASE_METHOD(SilenceFixture, "a peer that answers between two looks lives") {
  known.resent = 50;
  for (int i = 0; i < 100; ++i) {
    known.since_ack = 1h;
    CHECK_FALSE(silence.note(known, now, kEvery, kLimit));
    now += 5 * kEvery;
    known.since_ack = 2 * kEvery;  // later than the silence was noticed
    known.resent += 2;
    CHECK_FALSE(silence.note(known, now, kEvery, kLimit));
    now += 5 * kEvery;
  }
}

TEST_CASE_METHOD(SilenceFixture, "a peer that has nothing to acknowledge is not silent") {
  known.is_outstanding = false;
  known.resent = 10;
  CHECK_FALSE(dead_after(100));
}

// The far hosts are the backends, or one of them a client. Keepalive finds them dead after 2 s.
struct VanishingFixture : LoopFixture {
  static constexpr auto kDeadAfter = 2s;

  TwoHosts hosts;
  relay::WorkerPool pool{
      loop,
      relay::WorkerPoolOptions{.workers = 1,
                               .session = {.keepalive = {1s, 1s, 1}},
                               .listen_address = *net::Address::parse_ip("0.0.0.0", 0),
                               .resolver = SystemResolver::options()},
      [](std::uint16_t, core::Reach, const std::string&) {}};
  base::Fd backend;
  base::Fd accepted;
  base::Fd client;
  std::uint16_t port = 0;

  void open(const std::string& ip) {
    backend = hosts.at_far([&] {
      auto made = net::listen_tcp(*net::Address::parse_ip(ip, 0), {});
      REQUIRE(made);
      return std::move(*made);
    });
    keep_buffers_small(backend);
    auto listener = pool.prepare(at(0));
    REQUIRE(listener);
    port = port_of(*listener);
    pool.activate(std::move(*listener), stream_at(port, ip, port_of(backend)));
  }
  void connect() {
    client = connect_to(port);
    wait_for(backend.get(), POLLIN);
    accepted = accept_one(backend.get()).fd;
    REQUIRE(talk());
  }
  bool talk() const {
    send_all(client, "hello");
    wait_for(accepted.get(), POLLIN);
    if (receive_some(accepted).bytes != "hello") return false;
    send_all(accepted, "bye");
    wait_for(client.get(), POLLIN);
    return receive_some(client).bytes == "bye";
  }
  // Writes until the backend's window is closed and its last ACK is that old; returns the bytes.
  std::size_t close_the_window(std::chrono::milliseconds quiet) {
    const std::uint16_t source = net::peer_address(accepted.get()).port();
    int fd = 3;  // the pool's own socket to the backend
    while (net::local_address(fd).port() != source || net::peer_address(fd).port() == 0) ++fd;
    keep_buffers_small(client);
    const std::string chunk(64 * 1024, 'x');
    std::size_t sent = 0;
    turn_until([&] {
      sent += send_some(client, chunk);
      const auto known = net::tcp_answers(fd);
      return known && !known->is_outstanding && known->since_ack >= quiet;
    });
    return sent;
  }
  void check_ends_in_time(EndReason reason) {
    const auto began = std::chrono::steady_clock::now();
    turn_until([&] { return !pool.failures(port).sessions.empty(); });
    const auto took = std::chrono::steady_clock::now() - began;
    const core::EndedSession end = pool.failures(port).sessions.front();
    CHECK(end.reason == reason);
    CHECK(end.error == ETIMEDOUT);
    CHECK(took >= kDeadAfter);
    CHECK(took < 4 * kDeadAfter);  // the kernel by itself takes 15 min
    CHECK_THAT(core::in_words(end), Catch::Contains("fell silent: nothing was acknowledged"));
  }
};

TEST_CASE_METHOD(VanishingFixture,
                 "a backend that vanishes ends its session after keepalive's time") {
  open("10.97.0.2");
  connect();
  hosts.cut_power("10.97.0.2");
  SECTION("with bytes under way") { send_all(client, "lost"); }
  SECTION("with an end under way") { end_writes(client); }
  check_ends_in_time(EndReason::backend_reset);
}

TEST_CASE_METHOD(VanishingFixture, "a client that vanishes with bytes under way ends as well") {
  open("10.98.0.2");
  client = hosts.at_far([&] {
    auto made = net::start_connect(*net::Address::parse_ip("10.97.0.1", port));
    REQUIRE(made);
    return std::move(*made);
  });
  wait_for(backend.get(), POLLIN);
  accepted = accept_one(backend.get()).fd;
  REQUIRE(talk());
  hosts.cut_power("10.97.0.2");
  send_all(accepted, "lost");
  check_ends_in_time(EndReason::client_reset);
}

TEST_CASE_METHOD(VanishingFixture, "a backend that lives with its window closed is never ended") {
  open("10.98.0.2");
  connect();
  const std::size_t sent = close_the_window(kDeadAfter + 500ms);
  CHECK(pool.failures(port).sessions.empty());
  std::size_t received = 0;
  turn_until([&] {
    received += receive_some(accepted).bytes.size();
    return received == sent;
  });
  CHECK(talk());
  CHECK(pool.failures(port).sessions.empty());
}

TEST_CASE_METHOD(VanishingFixture, "a backend that vanishes behind a closed window is found") {
  open("10.97.0.2");
  connect();
  // Between two probes of the window, and after more than two looks without a byte.
  close_the_window(700ms);
  hosts.cut_power("10.97.0.2");
  check_ends_in_time(EndReason::backend_reset);
}

TEST_CASE_METHOD(VanishingFixture, "a way that this host itself loses is not the backend's fault") {
  open("10.97.0.2");
  connect();
  std::string error;
  SECTION("its interface goes down") {
    TwoHosts::run("ip link set near down");
    error = "ENETUNREACH";
  }
  SECTION("its route goes away") {
    TwoHosts::run("ip route add unreachable 10.97.0.2/32");
    error = "EHOSTUNREACH";
  }
  SECTION("its source address goes away") {
    TwoHosts::run("ip address del 10.97.0.1/24 dev near");
    TwoHosts::run("ip route add 10.97.0.0/24 dev near");
    error = "EADDRNOTAVAIL";
  }
  send_all(client, "lost");
  turn_until([&] { return !pool.failures(port).sessions.empty(); });
  const core::EndedSession end = pool.failures(port).sessions.front();
  CHECK(end.reason == EndReason::host);
  CHECK_THAT(core::in_words(end),
             Catch::StartsWith("this host could not carry the session: 10.97.0.2:"));
  CHECK_THAT(core::in_words(end), Catch::Contains(error));
}

}  // namespace
}  // namespace sc::test
