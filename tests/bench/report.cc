#include "bench/report.h"

#include <array>
#include <cstdio>
#include <utility>

namespace sc::bench {

void Report::add_raw(std::string_view name, std::string_view value) {
  if (!members_.empty()) members_ += ", ";
  members_.append("\"").append(name).append("\": ").append(value);
}

void Report::add(std::string_view name, double value) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%.6g", value);
  add_raw(name, text.data());
}

void Report::add(std::string_view name, std::uint64_t value) {
  add_raw(name, std::to_string(value));
}

void Report::add(std::string_view prefix, const Histogram& latencies) {
  const std::string start(prefix);
  add(start + "p50_us", latencies.percentile(0.5));
  add(start + "p90_us", latencies.percentile(0.9));
  add(start + "p99_us", latencies.percentile(0.99));
  add(start + "p999_us", latencies.percentile(0.999));
  add(start + "max_us", latencies.max());
}

void Report::fail(std::string sentence) {
  if (failures_++ == 0) first_failure_ = std::move(sentence);
}

std::string Report::text() const { return "{" + members_ + "}"; }

}  // namespace sc::bench
