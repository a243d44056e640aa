#include "systemd/notifier.h"

#include "base/log.h"
#include "support/catch.h"
#include "support/manual_clock.h"
#include "systemd/child.h"
#include "systemd/notify_socket.h"

namespace sc::systemd {
namespace {

using std::chrono::milliseconds;

TEST_CASE("without NOTIFY_SOCKET the notifier does nothing") {
  test::ManualClock clock;
  NotifyQueue queue(clock);
  Notifier notifier(clock, queue);
  CHECK_FALSE(NotifyQueue::is_set());
  notifier.ready("up");
  notifier.keep_alive();
}

TEST_CASE("the service manager is told what the service does, as often as it changes") {
  test::NotifySocket manager;
  const test::ScopedEnvironment environment("NOTIFY_SOCKET", manager.name());
  test::ManualClock clock;
  NotifyQueue queue(clock);
  Notifier notifier(clock, queue);

  notifier.ready("3 streams, 1 failed");
  CHECK(manager.received() == "READY=1\nSTATUS=3 streams, 1 failed");
  notifier.status("4 streams");
  CHECK(manager.received() == "STATUS=4 streams");
  notifier.keep_alive();
  CHECK(manager.received() == "WATCHDOG=1");
}

TEST_CASE("a reload says when it began, in microseconds of the monotonic clock") {
  test::NotifySocket manager;
  const test::ScopedEnvironment environment("NOTIFY_SOCKET", manager.name());
  test::ManualClock clock;  // stands at one hour
  clock.advance(milliseconds{7});
  NotifyQueue queue(clock);
  Notifier notifier(clock, queue);

  notifier.reloading();
  CHECK(manager.received() == "RELOADING=1\nMONOTONIC_USEC=3600007000");
}

TEST_CASE("a stop asks the manager for as long as the drain takes and a little more") {
  test::NotifySocket manager;
  const test::ScopedEnvironment environment("NOTIFY_SOCKET", manager.name());
  test::ManualClock clock;
  NotifyQueue queue(clock);
  Notifier notifier(clock, queue);

  notifier.stopping(milliseconds{300'000}, "draining 12 sessions");
  CHECK(manager.received() ==
        "STOPPING=1\nEXTEND_TIMEOUT_USEC=305000000\nSTATUS=draining 12 sessions");
}

TEST_CASE("a newline in a status starts no assignment of its own") {
  test::NotifySocket manager;
  const test::ScopedEnvironment environment("NOTIFY_SOCKET", manager.name());
  test::ManualClock clock;
  NotifyQueue queue(clock);
  Notifier notifier(clock, queue);

  notifier.status("one\nSTOPPING=1");
  CHECK(manager.received() == "STATUS=one STOPPING=1");
}

TEST_CASE("a manager that cannot be reached is logged once") {
  const test::ScopedEnvironment environment("NOTIFY_SOCKET", "@sc-test-nobody-listens-here");
  test::ManualClock clock;
  NotifyQueue queue(clock);
  Notifier notifier(clock, queue);
  int lines = 0;
  base::log::set_sink(
      [&](base::log::Level, std::string_view, std::span<const base::log::Field>) { ++lines; });
  notifier.keep_alive();
  notifier.keep_alive();
  base::log::set_sink({});
  CHECK(lines == 1);
}

}  // namespace
}  // namespace sc::systemd
