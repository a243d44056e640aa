#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "bench/histogram.h"

namespace sc::bench {

// What a run found, one JSON object of numbers; and what went wrong in it.
class Report {
 public:
  void add(std::string_view name, double value);
  void add(std::string_view name, std::uint64_t value);
  // `<prefix>p50_us`, p90, p99, p99.9 (as p999) and the maximum.
  void add(std::string_view prefix, const Histogram& latencies);

  // Each session that went wrong is one; the first one's sentence is kept.
  void fail(std::string sentence);
  std::uint64_t failures() const { return failures_; }
  const std::string& first_failure() const { return first_failure_; }

  std::string text() const;

 private:
  void add_raw(std::string_view name, std::string_view value);

  std::string members_;
  std::uint64_t failures_ = 0;
  std::string first_failure_;
};

}  // namespace sc::bench
