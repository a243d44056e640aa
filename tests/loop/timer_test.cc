#include "loop/timer.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>

#include "support/catch.h"
#include "support/loop_until.h"

namespace sc::test {
namespace {

using namespace std::chrono_literals;

TEST_CASE("a timer fires once for each start, and not before its time") {
  loop::Loop loop;
  int fired = 0;
  loop::Timer timer(loop, [&] { ++fired; });
  CHECK_FALSE(timer.is_active());
  const auto before = std::chrono::steady_clock::now();
  timer.start(20ms);
  CHECK(timer.is_active());
  REQUIRE(loop_until(loop, [&] { return fired > 0; }));
  CHECK(std::chrono::steady_clock::now() - before >= 20ms);
  CHECK_FALSE(timer.is_active());

  loop::Timer later(loop, [] { FAIL("it was not started"); });
  bool over = false;
  loop::Timer end(loop, [&] { over = true; });
  end.start(30ms);
  REQUIRE(loop_until(loop, [&] { return over; }));
  CHECK(fired == 1);
  timer.start(1ms);
  REQUIRE(loop_until(loop, [&] { return fired == 2; }));
}

// libuv counts in whole milliseconds, both ends rounded down: who has turns for other reasons looks
// at a timer as soon as a millisecond begins.
TEST_CASE("a timer of a busy loop is not early, wherever in a millisecond it is started") {
  loop::Loop loop;
  std::unique_ptr<loop::Timer> other;
  other = std::make_unique<loop::Timer>(loop, [&] { other->start(0ms); });
  other->start(0ms);
  bool fired = false;
  loop::Timer timer(loop, [&] { fired = true; });
  std::chrono::nanoseconds earliest = 1h;
  for (int i = 0; i < 30; ++i) {
    fired = false;
    const auto before = std::chrono::steady_clock::now();
    timer.start(2ms);
    REQUIRE(loop_until(loop, [&] { return fired; }));
    earliest =
        std::min<std::chrono::nanoseconds>(earliest, std::chrono::steady_clock::now() - before);
  }
  CHECK(earliest >= 2ms);
}

TEST_CASE("a timer of zero or less fires soon, never from inside start") {
  loop::Loop loop;
  for (const auto delay : {0ms, -5ms}) {
    bool fired = false;
    loop::Timer timer(loop, [&] { fired = true; });
    timer.start(delay);
    CHECK_FALSE(fired);
    CHECK(loop_until(loop, [&] { return fired; }));
  }
}

TEST_CASE("starting a timer again replaces the time it was started with") {
  loop::Loop loop;
  std::string order;
  loop::Timer first(loop, [&] { order += 'a'; });
  loop::Timer second(loop, [&] { order += 'b'; });
  first.start(1ms);
  second.start(10ms);
  first.start(30ms);
  REQUIRE(loop_until(loop, [&] { return order.size() == 2; }));
  CHECK(order == "ba");

  first.start(1h);
  first.start(1ms);
  CHECK(loop_until(loop, [&] { return order == "baa"; }));
}

TEST_CASE("a stopped timer does not fire") {
  loop::Loop loop;
  bool fired = false;
  loop::Timer timer(loop, [&] { fired = true; });
  timer.start(1ms);
  timer.stop();
  CHECK_FALSE(timer.is_active());
  bool over = false;
  loop::Timer end(loop, [&] { over = true; });
  end.start(10ms);
  REQUIRE(loop_until(loop, [&] { return over; }));
  CHECK_FALSE(fired);
  timer.stop();  // again
}

TEST_CASE("a timer may start itself again from its own callback") {
  loop::Loop loop;
  int fired = 0;
  std::unique_ptr<loop::Timer> timer;
  timer = std::make_unique<loop::Timer>(loop, [&] {
    CHECK_FALSE(timer->is_active());
    if (++fired < 3) timer->start(1ms);
  });
  timer->start(1ms);
  CHECK(loop_until(loop, [&] { return fired == 3; }));
}

TEST_CASE("a timer that starts itself again with zero leaves turns to others") {
  loop::Loop loop;
  int fired = 0;
  std::unique_ptr<loop::Timer> timer;
  timer = std::make_unique<loop::Timer>(loop, [&] {
    // libuv 1.44, given 0, stays in its list of timers until this ends (libuv issue 4245).
    if (++fired < 100'000) timer->start(0ms);
  });
  timer->start(0ms);
  loop.run_once(true);
  CHECK(fired < 100);
}

TEST_CASE("a timer may be destroyed in its own callback, which keeps what it holds") {
  loop::Loop loop;
  std::unique_ptr<loop::Timer> timer;
  std::string seen;
  timer = std::make_unique<loop::Timer>(
      loop, [&timer, &seen, held = std::make_unique<std::string>("still here")] {
        timer.reset();
        seen = *held;
      });
  timer->start(1ms);
  REQUIRE(loop_until(loop, [&] { return !timer; }));
  CHECK(seen == "still here");
}

TEST_CASE("a timer may be replaced by another one in its own callback") {
  loop::Loop loop;
  std::unique_ptr<loop::Timer> timer;
  std::string seen;
  timer = std::make_unique<loop::Timer>(loop, [&, held = std::make_unique<std::string>("first")] {
    timer.reset();
    timer = std::make_unique<loop::Timer>(loop, [&] { seen += " second"; });
    timer->start(1ms);
    seen = *held;
  });
  timer->start(1ms);
  REQUIRE(loop_until(loop, [&] { return seen == "first second"; }));
  timer->start(1ms);
  CHECK(loop_until(loop, [&] { return seen == "first second second"; }));
}

TEST_CASE("what a timer's function holds is let go with the timer") {
  loop::Loop loop;
  const auto held = std::make_shared<int>(7);
  {
    const loop::Timer timer(loop, [held] {});
    CHECK(held.use_count() == 2);
  }
  CHECK(held.use_count() == 1);
}

TEST_CASE("a timer destroyed by another one that is due in the same turn stays silent") {
  loop::Loop loop;
  bool fired = false;
  auto victim = std::make_unique<loop::Timer>(loop, [&] { fired = true; });
  loop::Timer first(loop, [&] { victim.reset(); });
  first.start(1ms);
  victim->start(1ms);
  REQUIRE(loop_until(loop, [&] { return !victim; }));
  turn(loop);
  CHECK_FALSE(fired);
}

}  // namespace
}  // namespace sc::test
