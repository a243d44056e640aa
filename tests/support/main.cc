// SIGPIPE is ignored as in the service: a splice or send to a dead socket must fail, not kill.
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <string_view>

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>
#endif

#include "loop/loop.h"
#include "support/fd_leaks.h"

namespace {

constexpr int kSkipped = 77;  // to meson

}  // namespace

// Asked for a `[root…]` tag alone by somebody else, it says that it was skipped.
int main(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]).starts_with("[root") && ::getuid() != 0) {
    std::puts("skipped: needs root to become another user");
    return kSkipped;
  }
  std::signal(SIGPIPE, SIG_IGN);
  // The first loop of a process opens libuv's signal pipe, which stays: no test's leak.
  { const sc::loop::Loop first; }
  const int failed = Catch::Session().run(argc, argv);
  return failed == 0 && sc::test::fds_were_leaked() ? 1 : failed;
}
