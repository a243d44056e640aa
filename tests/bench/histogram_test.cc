#include "bench/histogram.h"

#include <cmath>

#include "support/catch.h"

namespace sc::test {
namespace {

using namespace std::chrono_literals;

TEST_CASE("a percentile is within a hundredth of the true one") {
  bench::Histogram latencies;
  for (int microseconds = 1; microseconds <= 10000; ++microseconds)
    latencies.add(std::chrono::microseconds(microseconds));
  CHECK(latencies.count() == 10000U);
  for (const double part : {0.001, 0.01, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    const double wanted = part * 10000;
    CHECK(std::abs(latencies.percentile(part) - wanted) <= wanted / 100);
  }
  CHECK(latencies.max() == 10000.0);
}

TEST_CASE("a histogram takes nothing, zero, and what no clock gives") {
  bench::Histogram latencies;
  CHECK(latencies.percentile(0.5) == 0.0);
  latencies.add(0ns);
  CHECK(latencies.percentile(0.5) == 0.0);
  latencies.add(-1ns);
  latencies.add(std::chrono::nanoseconds::max());
  CHECK(latencies.count() == 3U);
  CHECK(latencies.percentile(1.0) <= latencies.max());
}

TEST_CASE("small durations are exact") {
  bench::Histogram latencies;
  for (int nanoseconds = 0; nanoseconds < 256; ++nanoseconds)
    latencies.add(std::chrono::nanoseconds(nanoseconds));
  CHECK(latencies.percentile(0.5) == 0.127);
  CHECK(latencies.percentile(1.0) == 0.255);
}

}  // namespace
}  // namespace sc::test
