#include "bench/pattern.h"

#include <algorithm>
#include <vector>

#include "support/catch.h"

namespace sc::test {
namespace {

using bench::Pattern;

std::vector<std::byte> copy_of(std::span<const std::byte> bytes) {
  return {bytes.begin(), bytes.end()};
}

TEST_CASE("the pattern goes on where it wraps") {
  const Pattern pattern;
  const auto across = pattern.view(Pattern::kPeriod - 10, 20);
  CHECK(std::ranges::equal(across.subspan(10), pattern.view(0, 10)));
  CHECK(std::ranges::equal(across.subspan(10), pattern.view(7 * Pattern::kPeriod, 10)));
}

TEST_CASE("a wrong, lost or doubled byte is found where it is") {
  const Pattern pattern;
  constexpr std::uint64_t kStart = Pattern::kPeriod - 1000;  // so that it wraps
  const auto right = copy_of(pattern.view(kStart, 5000));
  CHECK_FALSE(pattern.find_wrong(kStart, right));

  auto wrong = right;
  wrong[4321] ^= std::byte{1};
  CHECK(pattern.find_wrong(kStart, wrong) == kStart + 4321);

  auto lost = right;
  lost.erase(lost.begin() + 2000);
  CHECK(pattern.find_wrong(kStart, lost) >= kStart + 2000);

  auto doubled = right;
  doubled.insert(doubled.begin() + 2000, doubled[1999]);
  CHECK(pattern.find_wrong(kStart, doubled) >= kStart + 2000);
}

TEST_CASE("a block of 4 KiB to 1 MiB that is lost shows") {
  const Pattern pattern;
  for (std::uint64_t lost = 4096; lost <= std::uint64_t{1} << 20U; lost *= 2)
    CHECK(pattern.find_wrong(0, pattern.view(lost, 64)));
}

}  // namespace
}  // namespace sc::test
