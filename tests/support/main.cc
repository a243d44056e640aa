// SIGPIPE is ignored as in the service: a splice or send to a dead socket must fail, not kill.
#include <csignal>

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>
#endif

#include "loop/loop.h"
#include "support/fd_leaks.h"

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  // The first loop of a process opens libuv's signal pipe, which stays: no test's leak.
  { const sc::loop::Loop first; }
  const int failed = Catch::Session().run(argc, argv);
  return failed == 0 && sc::test::fds_were_leaked() ? 1 : failed;
}
