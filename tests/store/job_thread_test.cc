#include "store/job_thread.h"

#include <atomic>
#include <chrono>
#include <future>
#include <string>
#include <vector>

#include "support/catch.h"

namespace sc::test {
namespace {

using std::chrono::milliseconds;
using store::JobThread;

// A job that holds the thread until it is let go.
struct Gate {
  explicit Gate(JobThread& thread) {
    thread.ask([this, open = gate.get_future()]() mutable {
      reached.set_value();
      open.wait();
    });
    reached.get_future().wait();
  }
  void open() { gate.set_value(); }
  std::promise<void> gate;
  std::promise<void> reached;
};

void wait_for(JobThread& thread) {
  std::promise<void> done;
  thread.ask([&] { done.set_value(); });
  done.get_future().wait();
}

TEST_CASE("jobs run in the order in which they were asked for, all of them before the end") {
  std::vector<int> seen;
  {
    JobThread thread("test");
    Gate gate(thread);
    for (int i = 0; i < 3; ++i) thread.ask([&seen, i] { seen.push_back(i); });
    gate.open();
  }
  CHECK(seen == std::vector<int>{0, 1, 2});
}

TEST_CASE("a thread reports since when its oldest job waits, and that it is idle") {
  JobThread thread("test");
  wait_for(thread);
  while (thread.busy_since()) std::this_thread::yield();  // the job is done and not yet counted off
  const base::Instant before = std::chrono::steady_clock::now();
  Gate gate(thread);
  thread.ask([] {});
  REQUIRE(thread.busy_since());
  CHECK(*thread.busy_since() >= before);
  CHECK(thread.has_waiting());
  gate.open();
  wait_for(thread);
  while (thread.busy_since()) std::this_thread::yield();
}

TEST_CASE("steps run while no job waits, again as soon as they ask for it") {
  std::promise<void> enough;
  int calls = 0;
  JobThread thread("test");
  thread.add_step(
      [&] {
        if (++calls == 3) enough.set_value();
        return calls < 3 ? milliseconds{0} : milliseconds{3'600'000};
      },
      milliseconds{0});
  enough.get_future().wait();
  wait_for(thread);
  CHECK(calls == 3);
}

TEST_CASE("a step that moves its own next call keeps it") {
  std::promise<void> again;
  std::promise<void> added;
  int calls = 0;
  JobThread::StepId step = 0;
  JobThread thread("test");  // last: its step uses all of the above
  wait_for(thread);
  thread.ask([&] {
    step = thread.add_step(
        [&] {
          if (++calls == 2) again.set_value();
          if (calls == 1) thread.set_due(step, milliseconds{1});
          return milliseconds{3'600'000};
        },
        milliseconds{0});
    added.set_value();
  });
  added.get_future().wait();
  again.get_future().wait();
  CHECK(calls == 2);
}

TEST_CASE("a thread that ends in time says so, one that hangs does not hold its owner up") {
  bool ran = false;
  JobThread thread("test");
  SECTION("it ends") {
    thread.ask([&] { ran = true; });
    CHECK(thread.finish(milliseconds{60'000}));
    CHECK(ran);
    CHECK(thread.is_finishing());
  }
  SECTION("it hangs") {
    Gate gate(thread);
    const base::Instant before = std::chrono::steady_clock::now();
    CHECK_FALSE(thread.finish(milliseconds{1}));
    CHECK(std::chrono::steady_clock::now() - before < std::chrono::seconds(30));
    CHECK(thread.must_end());
    gate.open();
  }
}

}  // namespace
}  // namespace sc::test
