#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

namespace sc::test {

// A limit as it is for a release build; SC_TEST_SLOWNESS stretches it for sanitizers.
inline std::chrono::duration<double, std::milli> stretched(std::chrono::milliseconds limit) {
  const char* slowness = std::getenv("SC_TEST_SLOWNESS");
  return limit * (slowness == nullptr ? 1.0 : std::atof(slowness));
}

// Does one thing over and over on a thread of its own and remembers how long it took when it took
// longest. It rests between two turns, as no host has ports for a connection each microsecond.
class Repeated {
 public:
  struct Report {
    int turns = 0;
    std::chrono::duration<double, std::milli> slowest{0};
    std::string failure;  // what a turn threw; it was the last one
  };

  explicit Repeated(std::function<void()> turn)
      : turn_(std::move(turn)), thread_([this] { run(); }) {}
  Repeated(const Repeated&) = delete;
  Repeated& operator=(const Repeated&) = delete;
  ~Repeated() { stop(); }

  // Comes back when the turn that runs is over.
  Report stop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    stopped_.notify_one();
    if (thread_.joinable()) thread_.join();
    return report_;
  }

 private:
  static constexpr std::chrono::milliseconds kRest{10};

  void run() {
    std::unique_lock lock(mutex_);
    while (!stopped_.wait_for(lock, kRest, [this] { return stopping_; })) {
      lock.unlock();
      const auto before = std::chrono::steady_clock::now();
      try {
        turn_();
        ++report_.turns;
      } catch (const std::exception& failure) {
        report_.failure = failure.what();
      }
      const std::chrono::duration<double, std::milli> took =
          std::chrono::steady_clock::now() - before;
      report_.slowest = std::max(report_.slowest, took);
      if (!report_.failure.empty()) return;
      lock.lock();
    }
  }

  const std::function<void()> turn_;
  Report report_;  // the thread's, until it has ended

  std::mutex mutex_;  // guards stopping_
  bool stopping_ = false;
  std::condition_variable stopped_;

  std::thread thread_;  // last: it uses all of the above
};

}  // namespace sc::test
