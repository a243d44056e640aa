// In Catch2 2.13 the listeners' base class is declared on request only.
#define CATCH_CONFIG_EXTERNAL_INTERFACES

#include <chrono>
#include <iostream>
#include <map>
#include <string>
#include <thread>

#include "support/catch.h"
#include "support/fd_count.h"
#include "support/fd_leaks.h"

namespace sc::test {
namespace {

#if __has_include(<catch2/catch_all.hpp>)
using ListenerBase = Catch::EventListenerBase;
#else
using ListenerBase = Catch::TestEventListenerBase;
#endif

// Test thread.
std::string running;
std::map<int, std::string> open_before;
bool leaked = false;

std::map<int, std::string> left_open() {
  std::map<int, std::string> left;
  for (const auto& [fd, target] : open_fds()) {
    const auto before = open_before.find(fd);
    if (before == open_before.end() || before->second != target) left.emplace(fd, target);
  }
  return left;
}

// Compares the open descriptors before and after each test case; cannot fail it, so main() asks.
class FdLeakListener final : public ListenerBase {
 public:
  using ListenerBase::ListenerBase;

  void testCaseStarting(const Catch::TestCaseInfo& test) override {
    ListenerBase::testCaseStarting(test);
    running = test.name;
    open_before = open_fds();
  }

  void testCaseEnded(const Catch::TestCaseStats& stats) override {
    // A getaddrinfo() that cannot be interrupted may still have its socket.
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    while (!left_open().empty() && std::chrono::steady_clock::now() < until)
      std::this_thread::yield();
    for (const auto& [fd, target] : left_open()) {
      leaked = true;
      std::cerr << "descriptor " << fd << " (" << target << ") was left open by: " << running
                << '\n';
    }
    ListenerBase::testCaseEnded(stats);
  }
};

CATCH_REGISTER_LISTENER(FdLeakListener)

}  // namespace

void forgive_open_fds() { open_before = open_fds(); }
bool fds_were_leaked() { return leaked; }

}  // namespace sc::test
