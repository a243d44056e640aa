#pragma once

#include <sys/epoll.h>

#include <array>
#include <chrono>
#include <cstdint>

#include "base/fd.h"

namespace sc::bench {

using Clock = std::chrono::steady_clock;

// What a descriptor's readiness is told to.
class Handler {
 public:
  Handler() = default;
  Handler(const Handler&) = delete;
  Handler& operator=(const Handler&) = delete;
  virtual ~Handler() = default;
  // EPOLLIN and so on, epoll_ctl(2); level-triggered.
  virtual void on_ready(std::uint32_t events) = 0;
};

// One epoll instance. One thread. Failures of epoll itself throw std::system_error.
class Reactor {
 public:
  Reactor();

  void add(int fd, std::uint32_t events, Handler& handler);
  void change(int fd, std::uint32_t events, Handler& handler);
  // The handler hears nothing more, not even of what was found ready already. Before close(2).
  void remove(int fd, const Handler& handler);

  // Waits until something is ready, or `until`, and tells the handlers once.
  void turn(Clock::time_point until);

 private:
  static constexpr int kBatch = 256;

  void control(int operation, int fd, std::uint32_t events, Handler& handler);

  base::Fd epoll_;
  std::array<epoll_event, kBatch> ready_{};
  int count_ = 0;
};

// Ends when the other end of standard input does, so that nothing outlives who started it. Where
// that is no pipe or socket, it never ends.
class InputEnd final : public Handler {
 public:
  explicit InputEnd(Reactor& reactor);
  ~InputEnd() override;
  void on_ready(std::uint32_t events) override;
  bool reached() const { return reached_; }

 private:
  Reactor& reactor_;
  bool watched_ = false;
  bool reached_ = false;
};

}  // namespace sc::bench
