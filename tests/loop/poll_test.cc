#include "loop/poll.h"

#include <sys/socket.h>

#include <array>
#include <memory>
#include <vector>

#include "base/fd.h"
#include "support/catch.h"
#include "support/loop_until.h"
#include "support/tcp_peer.h"

namespace sc::test {
namespace {

using loop::Ready;

// A TCP connection, one end of it polled.
struct PollFixture {
  PollFixture() : PollFixture(TcpListener()) {}
  explicit PollFixture(TcpListener listener)
      : far(TcpPeer::connect(listener.port())), near(listener.accept()) {}

  // So many bytes to the near end that no more fit.
  void fill() const {
    const std::array<char, 64 * 1024> chunk{};
    while (::send(near.fd(), chunk.data(), chunk.size(), MSG_DONTWAIT | MSG_NOSIGNAL) > 0) {
    }
  }
  bool wait_for_event() {
    const std::size_t before = seen.size();
    return loop_until(loop, [&] { return seen.size() > before; });
  }

  loop::Loop loop;
  TcpPeer far;
  TcpPeer near;
  std::vector<Ready> seen;
  loop::Poll poll{loop, near.fd(), [this](Ready ready) { seen.push_back(ready); }};
};

TEST_CASE_METHOD(PollFixture, "a poll that was told nothing says nothing") {
  far.send_all("x");
  turn(loop);
  CHECK(seen.empty());
}

TEST_CASE_METHOD(PollFixture, "a socket with bytes is readable for as long as they stay") {
  poll.watch(true, false);
  turn(loop);
  CHECK(seen.empty());
  far.send_all("x");
  REQUIRE(wait_for_event());
  CHECK(seen.back().read);
  CHECK_FALSE(seen.back().ended);
  CHECK_FALSE(seen.back().write);
  CHECK_FALSE(seen.back().broken);
  CHECK(wait_for_event());  // level-triggered
  CHECK(near.receive(1) == "x");
  seen.clear();
  turn(loop);
  CHECK(seen.empty());
}

TEST_CASE_METHOD(PollFixture,
                 "an orderly end is readable, and told before what comes before it is read") {
  far.send_all("x");
  far.half_close();
  poll.watch(true, false);
  REQUIRE(loop_until(loop, [&] { return !seen.empty() && seen.back().ended; }));
  CHECK(seen.back().read);
  CHECK(near.receive(1) == "x");
  CHECK_FALSE(seen.back().broken);
}

TEST_CASE_METHOD(PollFixture, "a socket is writable until it is full, and again when it drains") {
  poll.watch(false, true);
  REQUIRE(wait_for_event());
  CHECK(seen.back().write);
  CHECK_FALSE(seen.back().read);
  fill();
  seen.clear();
  turn(loop);
  CHECK(seen.empty());
  near.half_close();
  far.receive_until_end();
  REQUIRE(wait_for_event());
  CHECK(seen.back().write);
}

TEST_CASE_METHOD(PollFixture, "both directions are reported together") {
  far.send_all("x");
  poll.watch(true, true);
  REQUIRE(loop_until(loop, [&] { return !seen.empty() && seen.back().read; }));
  CHECK(seen.back().write);
}

TEST_CASE_METHOD(PollFixture,
                 "a changed mask replaces the one before, the same one changes nothing") {
  far.send_all("x");
  poll.watch(true, false);
  poll.watch(true, false);
  REQUIRE(wait_for_event());
  CHECK_FALSE(seen.back().write);
  poll.watch(false, true);
  REQUIRE(wait_for_event());
  CHECK_FALSE(seen.back().read);
  CHECK(seen.back().write);
  poll.watch(false, false);
  seen.clear();
  turn(loop);
  CHECK(seen.empty());
  poll.watch(true, false);
  CHECK(wait_for_event());
}

TEST_CASE_METHOD(PollFixture, "the mask may change inside the callback") {
  int calls = 0;
  loop::Poll* self = nullptr;
  // A second descriptor for the same socket, as one can be polled once only.
  const base::Fd copy(::dup(near.fd()));
  loop::Poll once(loop, copy.get(), [&](Ready) {
    ++calls;
    self->watch(false, false);
  });
  self = &once;
  once.watch(true, true);
  REQUIRE(loop_until(loop, [&] { return calls > 0; }));
  turn(loop);
  CHECK(calls == 1);
}

TEST_CASE_METHOD(PollFixture, "a reset is ready for all, whichever direction was asked for") {
  const bool read = GENERATE(true, false);
  if (!read) fill();
  poll.watch(read, !read);
  turn(loop);
  seen.clear();
  far.reset();
  REQUIRE(wait_for_event());
  CHECK(seen.back().read);
  CHECK(seen.back().write);
  CHECK(seen.back().broken);
  CHECK(near.got_reset());
}

TEST_CASE_METHOD(PollFixture, "after an error the poll can be told to watch again") {
  poll.watch(true, false);
  far.reset();
  REQUIRE(wait_for_event());
  CHECK(near.got_reset());  // which takes the error off the socket
  poll.watch(true, false);
  CHECK(wait_for_event());  // the end stays readable
}

TEST_CASE_METHOD(PollFixture, "an empty mask is silent even when the peer resets") {
  poll.watch(true, true);
  REQUIRE(wait_for_event());
  poll.watch(false, false);
  seen.clear();
  far.reset();
  near.got_reset();
  turn(loop);
  CHECK(seen.empty());
}

TEST_CASE_METHOD(PollFixture, "a poll for what breaks hears neither bytes nor the orderly end") {
  poll.watch_broken();
  far.send_all("x");
  far.half_close();
  turn(loop);
  CHECK(seen.empty());
  far.reset();
  REQUIRE(wait_for_event());
  CHECK(seen.back().broken);
}

TEST_CASE_METHOD(PollFixture, "what broke is told once to a poll for what breaks") {
  far.reset();
  poll.watch_broken();
  REQUIRE(wait_for_event());
  turn(loop);
  CHECK(seen.size() == 1);
}

TEST_CASE_METHOD(PollFixture, "an urgent byte breaks nothing") {
  poll.watch_broken();
  REQUIRE(::send(far.fd(), "!", 1, MSG_OOB) == 1);
  turn(loop);
  CHECK(seen.empty());
}

TEST_CASE_METHOD(PollFixture, "more descriptors than one turn takes are all served") {
  constexpr int kMany = 600;
  int heard = 0;
  std::vector<base::Fd> copies;
  std::vector<std::unique_ptr<loop::Poll>> polls(kMany);
  for (int i = 0; i < kMany; ++i) {
    copies.emplace_back(::dup(near.fd()));
    const auto self = static_cast<std::size_t>(i);
    polls[self] = std::make_unique<loop::Poll>(loop, copies.back().get(), [&, self](Ready) {
      ++heard;
      polls[self].reset();
    });
    polls[self]->watch(false, true);
  }
  REQUIRE(loop_until(loop, [&] { return heard == kMany; }));
}

TEST_CASE_METHOD(PollFixture, "a poll for what breaks hears that both directions have ended") {
  poll.watch_broken();
  near.half_close();
  turn(loop);
  CHECK(seen.empty());
  far.half_close();
  REQUIRE(wait_for_event());
  CHECK(seen.back().broken);
}

TEST_CASE_METHOD(PollFixture, "a poll may be handed on in its own callback") {
  const base::Fd copy(::dup(near.fd()));
  std::vector<int> heard;
  std::unique_ptr<loop::Poll> first;
  std::unique_ptr<loop::Poll> second;
  first = std::make_unique<loop::Poll>(loop, copy.get(), [&](Ready) {
    heard.push_back(1);
    second = std::move(first);
    second->set_on_ready([&](Ready) {
      heard.push_back(2);
      second.reset();
    });
  });
  first->watch(false, true);
  REQUIRE(loop_until(loop, [&] { return heard.size() == 2; }));
  CHECK(heard == std::vector<int>{1, 2});
}

TEST_CASE_METHOD(PollFixture, "a poll that nobody took over falls silent") {
  poll.watch(false, true);
  poll.set_on_ready({});
  turn(loop);
  poll.set_on_ready([this](Ready ready) { seen.push_back(ready); });
  turn(loop);
  CHECK(seen.empty());
  poll.watch(false, true);
  CHECK(wait_for_event());
}

TEST_CASE_METHOD(PollFixture, "a poll may be destroyed in its own callback") {
  const base::Fd copy(::dup(near.fd()));
  std::unique_ptr<loop::Poll> mine;
  int held_value = 0;
  mine =
      std::make_unique<loop::Poll>(loop, copy.get(), [&, held = std::make_unique<int>(7)](Ready) {
        mine.reset();
        held_value = *held;
      });
  mine->watch(false, true);
  REQUIRE(loop_until(loop, [&] { return !mine; }));
  CHECK(held_value == 7);
}

TEST_CASE_METHOD(PollFixture, "a poll destroyed by another one of the same turn stays silent") {
  const base::Fd one(::dup(near.fd()));
  const base::Fd two(::dup(near.fd()));
  std::unique_ptr<loop::Poll> first;
  std::unique_ptr<loop::Poll> second;
  int calls = 0;
  first = std::make_unique<loop::Poll>(loop, one.get(), [&](Ready) {
    ++calls;
    second.reset();
    first->watch(false, false);
  });
  second = std::make_unique<loop::Poll>(loop, two.get(), [&](Ready) {
    ++calls;
    first.reset();
    second->watch(false, false);
  });
  first->watch(false, true);
  second->watch(false, true);
  REQUIRE(loop_until(loop, [&] { return calls > 0; }));
  turn(loop);
  CHECK(calls == 1);
}

TEST_CASE_METHOD(PollFixture, "a descriptor number used again is polled afresh") {
  poll.watch(true, false);
  for (int i = 0; i < 3; ++i) {
    TcpListener listener;
    TcpPeer client = TcpPeer::connect(listener.port());
    TcpPeer server = listener.accept();
    int calls = 0;
    loop::Poll watched(loop, server.fd(), [&](Ready) { ++calls; });
    watched.watch(true, false);
    client.send_all("x");
    REQUIRE(loop_until(loop, [&] { return calls > 0; }));
  }
  CHECK(seen.empty());
}

TEST_CASE("a descriptor that cannot be polled is refused") {
  loop::Loop loop;
  loop::Poll poll(loop, -1, [](Ready) {});
  CHECK_THROWS_AS(poll.watch(true, false), std::runtime_error);
}

}  // namespace
}  // namespace sc::test
