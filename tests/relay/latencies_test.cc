#include "relay/latencies.h"

#include <numeric>

#include "support/catch.h"

namespace sc::test {
namespace {

using namespace std::chrono_literals;
using relay::Latencies;

relay::SessionEnd took(std::chrono::microseconds connected, std::chrono::microseconds first_byte,
                       std::chrono::microseconds ended) {
  relay::SessionEnd end;
  if (connected >= 0us) end.times.connected = static_cast<std::uint32_t>(connected.count());
  end.times.first_byte = first_byte.count();
  end.ended_after = ended;
  return end;
}

std::uint64_t count_of(const core::Histogram& histogram) {
  return std::accumulate(histogram.counts.begin(), histogram.counts.end(), std::uint64_t{0});
}

TEST_CASE("a session counts where its time is not above the bound, and of more workers together") {
  Latencies one;
  Latencies other;
  one.add(took(100us, 350us, 1ms));     // the bounds themselves
  one.add(took(101us, 352us, 1001us));  // one above them
  other.add(took(40s, 200s, 40 * 24h));
  relay::SessionLatencies sum = Latencies::none();
  one.add_to(sum);
  other.add_to(sum);
  CHECK(sum.connect.bounds.size() + 1 == sum.connect.counts.size());
  CHECK(sum.connect.counts[0] == 1);
  CHECK(sum.connect.counts[1] == 1);
  CHECK(sum.connect.counts.back() == 1);
  CHECK(sum.connect.sum == Catch::Detail::Approx(40.000201));
  CHECK(sum.first_byte.counts[1] == 1);  // since it was connected
  CHECK(sum.first_byte.counts[2] == 1);
  CHECK(sum.first_byte.counts.back() == 1);
  CHECK(sum.duration.counts[0] == 1);
  CHECK(sum.duration.counts[1] == 1);
  CHECK(sum.duration.counts.back() == 1);
}

TEST_CASE("a session that reached nobody has a duration alone") {
  Latencies latencies;
  latencies.add(took(-1us, -1us, 3ms));
  latencies.add(took(1ms, -1us, 3ms));  // reached, and nothing came
  relay::SessionLatencies sum = Latencies::none();
  latencies.add_to(sum);
  CHECK(count_of(sum.connect) == 1);
  CHECK(count_of(sum.first_byte) == 0);
  CHECK(count_of(sum.duration) == 2);
}

}  // namespace
}  // namespace sc::test
