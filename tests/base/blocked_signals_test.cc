#include "base/blocked_signals.h"

#include <stdexcept>
#include <thread>

#include "support/catch.h"

namespace sc::base {
namespace {

bool takes(int signal) {
  sigset_t now{};
  ::pthread_sigmask(SIG_BLOCK, nullptr, &now);
  return ::sigismember(&now, signal) == 0;
}

TEST_CASE("a thread that is started while signals are blocked takes none") {
  bool took = true;
  std::thread thread;
  {
    const BlockedSignals blocked;
    CHECK_FALSE(takes(SIGTERM));
    thread = std::thread([&] { took = takes(SIGTERM); });
  }
  thread.join();
  CHECK_FALSE(took);
}

TEST_CASE("the signals are as before when what was done meanwhile has failed") {
  REQUIRE(takes(SIGTERM));
  try {
    const BlockedSignals blocked;
    throw std::runtime_error("failed");
  } catch (const std::runtime_error&) {
    CHECK(takes(SIGTERM));
  }
}

}  // namespace
}  // namespace sc::base
