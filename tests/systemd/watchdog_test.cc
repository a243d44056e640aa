#include "systemd/watchdog.h"

#include <unistd.h>

#include "base/clock.h"
#include "loop/poll.h"
#include "support/catch.h"
#include "support/loop_until.h"
#include "systemd/child.h"
#include "systemd/notify_socket.h"

namespace sc::systemd {
namespace {

using std::chrono::milliseconds;

TEST_CASE("without WATCHDOG_USEC there is no sign of life") {
  test::NotifySocket manager;
  const test::ScopedEnvironment socket("NOTIFY_SOCKET", manager.name());
  const base::SystemClock clock;
  loop::Loop loop;
  NotifyQueue queue(clock);
  Notifier notifier(clock, queue);
  const Watchdog watchdog(loop, notifier, [] { return true; });
  CHECK(watchdog.period() == milliseconds{0});
  loop.run();  // comes back at once, as there is nothing to wait for
  CHECK_FALSE(manager.receive(milliseconds{0}));
}

TEST_CASE("a watchdog that is meant for another process is not fed") {
  const test::ScopedEnvironment limit("WATCHDOG_USEC", "30000000");
  const test::ScopedEnvironment process("WATCHDOG_PID", "1");
  const base::SystemClock clock;
  loop::Loop loop;
  NotifyQueue queue(clock);
  Notifier notifier(clock, queue);
  CHECK(Watchdog(loop, notifier, [] { return true; }).period() == milliseconds{0});
}

TEST_CASE("signs of life come twice in each WatchdogSec") {
  const test::ScopedEnvironment limit("WATCHDOG_USEC", "30000000");
  const base::SystemClock clock;
  loop::Loop loop;
  NotifyQueue queue(clock);
  Notifier notifier(clock, queue);
  CHECK(Watchdog(loop, notifier, [] { return true; }).period() == milliseconds{15'000});
}

TEST_CASE("a watchdog setting that is not understood is none") {
  const test::ScopedEnvironment limit("WATCHDOG_USEC", "soon");
  const base::SystemClock clock;
  loop::Loop loop;
  NotifyQueue queue(clock);
  Notifier notifier(clock, queue);
  CHECK(Watchdog(loop, notifier, [] { return true; }).period() == milliseconds{0});
}

TEST_CASE("signs of life go on for as long as the loop turns") {
  test::NotifySocket manager;
  const test::ScopedEnvironment socket("NOTIFY_SOCKET", manager.name());
  const test::ScopedEnvironment limit("WATCHDOG_USEC", "20000");
  const test::ScopedEnvironment process("WATCHDOG_PID", std::to_string(::getpid()));
  const base::SystemClock clock;
  loop::Loop loop;
  NotifyQueue queue(clock);
  Notifier notifier(clock, queue);
  const Watchdog watchdog(loop, notifier, [] { return true; });
  CHECK(watchdog.period() == milliseconds{10});

  int seen = 0;
  bool late = false;
  loop::Timer deadline(loop, [&] {
    late = true;
    loop.stop();
  });
  deadline.start(std::chrono::seconds(20));
  loop::Poll arrival(loop, manager.fd(), [&](loop::Ready) {
    CHECK(manager.received() == "WATCHDOG=1");
    if (++seen == 3) loop.stop();
  });
  arrival.watch(true, false);
  loop.run();
  CHECK_FALSE(late);
  CHECK(seen == 3);
}

TEST_CASE("no sign of life is given while a thread does not answer, and again when it does") {
  test::NotifySocket manager;
  const test::ScopedEnvironment socket("NOTIFY_SOCKET", manager.name());
  const test::ScopedEnvironment limit("WATCHDOG_USEC", "4000");
  const test::ScopedEnvironment process("WATCHDOG_PID", std::to_string(::getpid()));
  const base::SystemClock clock;
  loop::Loop loop;
  NotifyQueue queue(clock);
  Notifier notifier(clock, queue);
  int asked = 0;
  const Watchdog watchdog(loop, notifier, [&] { return ++asked > 3; });
  REQUIRE(test::loop_until(loop, [&] { return asked == 3; }));
  CHECK_FALSE(manager.receive(milliseconds{0}));
  REQUIRE(test::loop_until(loop, [&] { return asked == 4; }));
  CHECK(manager.received() == "WATCHDOG=1");
}

}  // namespace
}  // namespace sc::systemd
