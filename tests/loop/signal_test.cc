#include "loop/signal.h"

#include <signal.h>
#include <unistd.h>

#include <memory>

#include "support/catch.h"
#include "support/loop_until.h"

namespace sc::test {
namespace {

TEST_CASE("a signal to the process calls back on the loop, each time") {
  loop::Loop loop;
  int users = 0;
  int hangups = 0;
  const loop::Signal user(loop, SIGUSR1, [&] { ++users; });
  const loop::Signal hangup(loop, SIGHUP, [&] { ++hangups; });
  ::kill(::getpid(), SIGUSR1);
  REQUIRE(loop_until(loop, [&] { return users == 1; }));
  ::kill(::getpid(), SIGHUP);
  REQUIRE(loop_until(loop, [&] { return hangups == 1; }));
  ::kill(::getpid(), SIGUSR1);
  REQUIRE(loop_until(loop, [&] { return users == 2; }));
  CHECK(hangups == 1);
}

TEST_CASE("two owners of one signal both hear it") {
  loop::Loop loop;
  int first = 0;
  int second = 0;
  const loop::Signal one(loop, SIGUSR1, [&] { ++first; });
  auto two = std::make_unique<loop::Signal>(loop, SIGUSR1, [&] { ++second; });
  ::kill(::getpid(), SIGUSR1);
  REQUIRE(loop_until(loop, [&] { return first == 1 && second == 1; }));
  two.reset();
  ::kill(::getpid(), SIGUSR1);
  REQUIRE(loop_until(loop, [&] { return first == 2; }));
  CHECK(second == 1);
}

TEST_CASE("a signal's owner may be destroyed in its own callback") {
  loop::Loop loop;
  std::unique_ptr<loop::Signal> signal;
  signal = std::make_unique<loop::Signal>(loop, SIGUSR1, [&] { signal.reset(); });
  ::kill(::getpid(), SIGUSR1);
  CHECK(loop_until(loop, [&] { return !signal; }));
}

TEST_CASE("a signal that cannot be caught is refused") {
  loop::Loop loop;
  CHECK_THROWS_AS(loop::Signal(loop, SIGKILL, [] {}), std::runtime_error);
}

}  // namespace
}  // namespace sc::test
