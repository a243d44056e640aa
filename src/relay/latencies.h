#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "core/histogram.h"
#include "relay/session_end.h"

namespace sc::relay {

// How long the sessions took that have ended: to reach the backend, since they were accepted; from
// then to its first byte; and in all. A value.
struct SessionLatencies {
  core::Histogram connect;
  core::Histogram first_byte;
  core::Histogram duration;
};

// One worker's part of it. Its own thread adds, any may ask; relaxed, so numbers that are read
// while it adds may differ by one.
class Latencies {
 public:
  // In seconds. Where the way to a backend is well, and where it is not.
  static constexpr std::array kConnectBounds{100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3,
                                             25e-3,  50e-3,  100e-3, 0.25, 1.0,    5.0,  30.0};
  // From a health check to a session of a week.
  static constexpr std::array kDurationBounds{1e-3, 5e-3, 25e-3, 100e-3, 500e-3, 2.5,    10.0,
                                              60.0, 300., 1800., 7200.,  28800., 86400., 604800.};

  void add(const SessionEnd& end);
  void add_to(SessionLatencies& sum) const;
  // What add_to() adds to.
  static SessionLatencies none();

 private:
  struct Meter {
    std::array<std::atomic<std::uint64_t>, kConnectBounds.size() + 1> counts{};
    std::atomic<std::uint64_t> sum{0};  // us
  };
  static_assert(kConnectBounds.size() == kDurationBounds.size());
  using Bounds = std::array<double, kConnectBounds.size()>;

  static void add(Meter& meter, const Bounds& bounds, std::chrono::microseconds took);
  static void add_to(const Meter& meter, core::Histogram& sum);

  Meter connect_;
  Meter first_byte_;
  Meter duration_;
};

}  // namespace sc::relay
