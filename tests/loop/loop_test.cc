#include "loop/loop.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memory>

#include "loop/mailbox.h"
#include "loop/poll.h"
#include "loop/signal.h"
#include "loop/timer.h"
#include "support/catch.h"
#include "support/fd_count.h"
#include "support/loop_until.h"
#include "support/tcp_peer.h"

namespace sc::test {
namespace {

using namespace std::chrono_literals;

TEST_CASE("a loop without anything to wait for returns at once") {
  loop::Loop loop;
  loop.run();
  loop.run_once(true);
}

TEST_CASE("a loop turns until it is stopped, and can be run again") {
  loop::Loop loop;
  int fired = 0;
  loop::Timer far_away(loop, [] {});
  far_away.start(1h);
  loop::Timer timer(loop, [&] {
    ++fired;
    loop.stop();
  });
  timer.start(1ms);
  loop.run();
  CHECK(fired == 1);
  timer.start(1ms);
  loop.run();
  CHECK(fired == 2);
}

TEST_CASE("a turn without waiting returns although nothing happened") {
  loop::Loop loop;
  loop::Timer far_away(loop, [] {});
  far_away.start(1h);
  loop.run_once(false);
  CHECK(far_away.is_active());
}

TEST_CASE("a loop's time is that of its turn") {
  loop::Loop loop;
  const auto before = loop.now();
  bool fired = false;
  loop::Timer timer(loop, [&] { fired = true; });
  timer.start(15ms);
  REQUIRE(loop_until(loop, [&] { return fired; }));
  CHECK(loop.now() - before >= 15ms);
}

TEST_CASE("a loop closes clean when all that was made on it is gone") {
  const std::size_t before = fd_count();
  {
    TcpListener listener;
    loop::Loop loop;
    loop::Timer timer(loop, [] {});
    timer.start(1h);
    loop::Poll poll(loop, listener.fd(), [](loop::Ready) {});
    poll.watch(true, false);
    const loop::Signal signal(loop, SIGUSR1, [] {});
    loop::Mailbox<int> inbox(loop, [](int) {});
    inbox.send(1);
  }
  CHECK(fd_count() == before);
}

TEST_CASE("a loop that was stopped before it could turn closes clean all the same") {
  const std::size_t before = fd_count();
  {
    loop::Loop loop;
    loop::Timer timer(loop, [] {});
    timer.start(1h);
    loop.stop();
  }
  CHECK(fd_count() == before);
}

#ifndef NDEBUG
// Runs it in a child process: the signal that ended it, 0 if none did.
template <class Work>
int signal_that_ends(Work work) {
  const pid_t child = ::fork();
  if (child == 0) {
    const rlimit no_core{0, 0};
    ::setrlimit(RLIMIT_CORE, &no_core);
    ::signal(SIGABRT, SIG_DFL);  // Catch2 would report it as a failed test
    ::signal(SIGALRM, SIG_DFL);
    ::alarm(10);
    ::dup2(::open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
    work();
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

TEST_CASE("a handle that outlives its loop is found by an assertion") {
  const bool active = GENERATE(false, true);
  CAPTURE(active);
  CHECK(signal_that_ends([&] {
          auto loop = std::make_unique<loop::Loop>();
          auto* leaked = new loop::Timer(*loop, [] {});
          if (active) leaked->start(1h);
          loop.reset();
        }) == SIGABRT);
}
#endif

}  // namespace
}  // namespace sc::test
