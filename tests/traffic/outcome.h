#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bench/histogram.h"
#include "traffic/pace.h"

namespace sc::traffic {

// What went wrong with a session.
struct Fault {
  bool wrong =
      false;  // a byte that was not sent came, or more than were sent; else it was cut short
  std::string sentence;
};

// What came of all sessions; one JSON object.
class Outcome {
 public:
  Outcome() : start_(Clock::now()) {}

  void add_good(std::uint64_t up, std::uint64_t down);
  void add_bad(const Fault& fault);
  // A session that ended before it said what it wants; the backend has nothing to hold against it.
  void add_empty() { ++empty_; }
  void add_pause(Clock::duration pause);
  // From connect to the end of a good session.
  void add_latency(Clock::duration latency) { latencies_.add(latency); }

  std::uint64_t good() const { return good_; }
  std::uint64_t bad() const { return bad_; }
  std::string text() const;

 private:
  static constexpr std::size_t kMostErrors = 5;

  Clock::time_point start_;
  std::uint64_t good_ = 0;
  std::uint64_t bad_ = 0;
  std::uint64_t wrong_ = 0;
  std::uint64_t empty_ = 0;
  std::uint64_t bytes_up_ = 0;
  std::uint64_t bytes_down_ = 0;
  Clock::duration pause_{0};
  bench::Histogram latencies_;
  std::vector<std::string> errors_;
};

}  // namespace sc::traffic
