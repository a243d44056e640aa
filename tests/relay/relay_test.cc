#include "relay/relay.h"

#include <optional>
#include <vector>

#include "relay/loop_fixture.h"
#include "relay/tcp_pair.h"
#include "support/catch.h"
#include "support/fake_host.h"

namespace sc::test {
namespace {

using namespace std::chrono_literals;

net::Dialed dialed(loop::Loop& loop, base::Fd fd) {
  const int number = fd.get();
  return {std::move(fd), {}, std::make_unique<loop::Poll>(loop, number, [](loop::Ready) {})};
}

// client.far <-> client.near - relay - backend.near <-> backend.far
struct RelayFixture : LoopFixture {
  TcpPair client = make_tcp_pair();
  TcpPair backend = make_tcp_pair();
  relay::PipePool pipes;
  std::vector<std::byte> buffer{relay::Pump::kBuffer};
  relay::StreamCounters counters;
  std::optional<relay::RelayEnd> end;
  std::optional<relay::Relay> relay;

  explicit RelayFixture(std::chrono::milliseconds idle_timeout = 0ms) {
    relay.emplace(loop, std::move(client.near), dialed(loop, std::move(backend.near)),
                  relay::Pump::Resources{buffer, &pipes}, idle_timeout, counters,
                  [this](const relay::RelayEnd& how) {
                    end = how;
                    relay.reset();
                  });
  }
};

TEST_CASE_METHOD(RelayFixture, "bytes go both ways and are counted while they go") {
  send_all(client.far, "question");
  CHECK(receive(backend.far, 8) == "question");
  send_all(backend.far, "answer");
  CHECK(receive(client.far, 6) == "answer");
  CHECK(counters.bytes_in == 8);
  CHECK(counters.bytes_out == 6);
  CHECK_FALSE(end);
}

TEST_CASE_METHOD(RelayFixture, "a client that half-closes still gets the whole reply") {
  send_all(client.far, "question");
  end_writes(client.far);
  const Received asked = receive_to_end(backend.far);
  CHECK(asked.bytes == "question");
  CHECK(asked.ended);
  CHECK_FALSE(end);

  const std::string reply = pattern(3 * 1024 * 1024);
  std::string_view rest = reply;
  std::string got;
  turn_until([&] {
    rest.remove_prefix(rest.empty() ? 0 : send_some(backend.far, rest));
    got += receive_some(client.far).bytes;
    return got.size() == reply.size();
  });
  CHECK(got == reply);
  end_writes(backend.far);
  CHECK(receive_to_end(client.far).ended);
  turn_until([&] { return end.has_value(); });
  CHECK(end->reason == core::EndReason::finished);
  CHECK(end->bytes_in == 8);
  CHECK(end->bytes_out == reply.size());
}

TEST_CASE_METHOD(RelayFixture,
                 "a backend that half-closes first still gets what the client sends") {
  end_writes(backend.far);
  CHECK(receive_to_end(client.far).ended);
  send_all(client.far, "more");
  CHECK(receive(backend.far, 4) == "more");
  end_writes(client.far);
  CHECK(receive_to_end(backend.far).ended);
  turn_until([&] { return end.has_value(); });
  CHECK(end->reason == core::EndReason::finished);
}

TEST_CASE_METHOD(RelayFixture, "a client's reset arrives at the backend as a reset") {
  reset(client.far);
  CHECK(receive_to_end(backend.far).reset);
  REQUIRE(end);
  CHECK(end->reason == core::EndReason::client_reset);
  CHECK(end->error == ECONNRESET);
}

TEST_CASE_METHOD(RelayFixture, "a backend's reset arrives at the client as a reset") {
  reset(backend.far);
  CHECK(receive_to_end(client.far).reset);
  REQUIRE(end);
  CHECK(end->reason == core::EndReason::backend_reset);
}

TEST_CASE_METHOD(RelayFixture,
                 "a reset is noticed on a side that has half-closed and is waited for by nobody") {
  end_writes(client.far);
  CHECK(receive_to_end(backend.far).ended);
  reset(client.far);
  CHECK(receive_to_end(backend.far).ended);  // it had its end already
  turn_until([&] { return end.has_value(); });
  CHECK(end->reason == core::EndReason::client_reset);
}

TEST_CASE_METHOD(RelayFixture,
                 "a reply is passed on also when its sender has reset the connection since") {
  // Closing with bytes unread makes the kernel send the reset behind the reply.
  send_all(client.far, "a request that nobody reads");
  turn_until([&] { return counters.bytes_in > 0; });
  wait_for(backend.far.get(), POLLIN);
  send_all(backend.far, "short reply");
  backend.far.reset();
  const Received got = receive_to_end(client.far);
  CHECK(got.bytes == "short reply");
  CHECK(got.reset);
  REQUIRE(end);
  CHECK(end->reason == core::EndReason::backend_reset);
}

TEST_CASE_METHOD(RelayFixture,
                 "what broke for writing is read to its end before the session ends") {
  // The backend's reply waits in our socket when our next write finds the connection broken.
  send_all(client.far, "one");
  CHECK(receive(backend.far, 3) == "one");
  send_all(client.far, "two");
  turn_until([&] { return counters.bytes_in == 6; });
  wait_for(backend.far.get(), POLLIN);
  send_all(client.far, "three");
  send_all(backend.far, "last words");
  backend.far.reset();
  const Received got = receive_to_end(client.far);
  CHECK(got.bytes == "last words");
  CHECK(got.reset);
}

TEST_CASE_METHOD(RelayFixture,
                 "an urgent byte stays in its place, and with a half-close makes nothing spin") {
  send_all(client.far, "before ");
  const char byte = '!';
  REQUIRE(::send(client.far.get(), &byte, 1, MSG_OOB) == 1);
  send_all(client.far, " after");
  end_writes(client.far);
  const Received got = receive_to_end(backend.far);
  CHECK(got.ended);
  CHECK(got.bytes == "before ! after");
  int turns = 0;
  loop::Timer deadline(loop, [] {});
  deadline.start(100ms);
  while (deadline.is_active()) {
    loop.run_once(true);  // sleeps unless something is ready
    REQUIRE(++turns < 20);
  }
}

TEST_CASE("a host that polls no further descriptor resets both sides") {
  const int allowed = GENERATE(0, 1);
  FakeHost host;
  loop::Loop loop;
  relay::PipePool pipes;
  std::vector<std::byte> buffer{relay::Pump::kBuffer};
  relay::StreamCounters counters;
  TcpPair client = make_tcp_pair();
  TcpPair backend = make_tcp_pair();
  host.refuse_poll_after(allowed);
  CHECK_THROWS_AS(relay::Relay(loop, std::move(client.near), dialed(loop, std::move(backend.near)),
                               relay::Pump::Resources{buffer, &pipes}, 0ms, counters, [](auto) {}),
                  std::runtime_error);
  for (const base::Fd* side : {&client.far, &backend.far}) {
    wait_for(side->get(), POLLIN);
    CHECK(receive_some(*side).reset);
  }
}

TEST_CASE_METHOD(RelayFixture, "a side that does not read costs no turns") {
  const std::string bytes = pattern(1024 * 1024);
  std::size_t idle = 0;
  turn_until([&] {
    idle = send_some(client.far, bytes) == 0 ? idle + 1 : 0;
    return idle > 100;
  });
  int turns = 0;
  loop::Timer deadline(loop, [] {});
  deadline.start(100ms);
  while (deadline.is_active()) {
    loop.run_once(true);
    REQUIRE(++turns < 20);
  }
}

TEST_CASE_METHOD(RelayFixture, "cut ends both sides by a reset") {
  relay->cut(core::EndReason::drained);
  CHECK(receive_to_end(client.far).reset);
  CHECK(receive_to_end(backend.far).reset);
  CHECK(end->reason == core::EndReason::drained);
}

struct IdleRelayFixture : RelayFixture {
  IdleRelayFixture() : RelayFixture(50ms) {}
};

TEST_CASE_METHOD(IdleRelayFixture, "silence for the idle timeout ends it, talk keeps it") {
  const auto talk_until = loop.now() + 200ms;
  turn_until([&] {
    send_all(client.far, "x");
    return loop.now() > talk_until;
  });
  CHECK_FALSE(end);
  CHECK(receive_to_end(client.far).reset);
  CHECK(end->reason == core::EndReason::idle_timeout);
}

}  // namespace
}  // namespace sc::test
