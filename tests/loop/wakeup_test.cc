#include "loop/wakeup.h"

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "loop/timer.h"
#include "support/catch.h"
#include "support/fd_count.h"
#include "support/loop_until.h"

namespace sc::test {
namespace {

using namespace std::chrono_literals;

TEST_CASE("wakes from other threads are called in the loop's thread, and none is lost") {
  constexpr int kThreads = 4;
  constexpr int kEach = 2000;
  loop::Loop loop;
  std::atomic<int> sent{0};
  int seen = 0;
  int calls = 0;
  const auto here = std::this_thread::get_id();
  bool is_here = true;
  loop::Wakeup wakeup(loop, [&] {
    ++calls;
    seen = sent.load();
    is_here = is_here && std::this_thread::get_id() == here;
  });
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i)
    threads.emplace_back([&] {
      for (int j = 0; j < kEach; ++j) {
        ++sent;
        wakeup.wake();
      }
    });
  REQUIRE(loop_until(loop, [&] { return seen == kThreads * kEach; }));
  for (std::thread& each : threads) each.join();
  CHECK(is_here);
  CHECK(calls >= 1);
}

TEST_CASE("a wake from within the call is called in the next turn") {
  loop::Loop loop;
  int calls = 0;
  loop::Wakeup* self = nullptr;
  loop::Wakeup wakeup(loop, [&] {
    if (++calls < 3) self->wake();
  });
  self = &wakeup;
  wakeup.wake();
  wakeup.wake();
  loop.run_once(true);
  CHECK(calls == 1);
  loop.run_once(true);
  loop.run_once(true);
  CHECK(calls == 3);
  loop.run_once(false);
  CHECK(calls == 3);
}

TEST_CASE("a call may destroy its own Wakeup, one that waits for its call, and make another") {
  loop::Loop loop;
  int calls = 0;
  std::vector<std::unique_ptr<loop::Wakeup>> wakeups;
  std::unique_ptr<loop::Wakeup> fresh;
  for (int i = 0; i < 3; ++i)
    wakeups.push_back(std::make_unique<loop::Wakeup>(loop, [&] {
      ++calls;
      wakeups.clear();
      fresh = std::make_unique<loop::Wakeup>(loop, [&] { calls += 10; });
      fresh->wake();
    }));
  for (const auto& each : wakeups) each->wake();
  REQUIRE(loop_until(loop, [&] { return calls >= 11; }));
  CHECK(calls == 11);
}

TEST_CASE("only the Wakeup that was woken is called") {
  loop::Loop loop;
  int one = 0;
  int other = 0;
  loop::Wakeup first(loop, [&] { ++one; });
  loop::Wakeup second(loop, [&] { ++other; });
  second.wake();
  loop.run_once(true);
  CHECK(one == 0);
  CHECK(other == 1);
}

TEST_CASE("a call comes before the timers that are due in the same turn") {
  loop::Loop loop;
  std::vector<int> order;
  loop::Timer timer(loop, [&] { order.push_back(2); });
  loop::Wakeup wakeup(loop, [&] { order.push_back(1); });
  timer.start(0ms);
  wakeup.wake();
  REQUIRE(loop_until(loop, [&] { return order.size() == 2; }));
  CHECK(order == std::vector{1, 2});
}

TEST_CASE("a loop keeps turning while it has a Wakeup, and all of them have one descriptor") {
  loop::Loop loop;
  const std::size_t before = fd_count();
  auto first = std::make_unique<loop::Wakeup>(loop, [&] { loop.stop(); });
  loop::Wakeup second(loop, [] {});
  CHECK(fd_count() == before + 1);
  std::thread thread([&] { first->wake(); });
  loop.run();  // until stop()
  thread.join();
}

}  // namespace
}  // namespace sc::test
