#include "config/nginx_time.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "base/text.h"

namespace sc::config {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t millis;
};
constexpr std::uint64_t kDay = 86'400'000;
// From the largest to the smallest. nginx counts 30 days to a month and 365 to a year.
constexpr std::array<Unit, 8> kUnits{{{"y", 365 * kDay},
                                      {"M", 30 * kDay},
                                      {"w", 7 * kDay},
                                      {"d", kDay},
                                      {"h", 3'600'000},
                                      {"m", 60'000},
                                      {"s", 1'000},
                                      {"ms", 1}}};
constexpr std::uint64_t kMost = 10'000 * 365 * kDay;

}  // namespace

std::optional<std::chrono::milliseconds> parse_nginx_time(std::string_view text) {
  std::uint64_t total = 0;
  std::size_t next_unit = 0;  // units before it cannot follow any more
  if (text.empty()) return std::nullopt;
  while (!text.empty()) {
    const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
    // nginx reads leading zeros as nothing.
    std::string_view number = text.substr(0, digits);
    while (number.size() > 1 && number.front() == '0') number.remove_prefix(1);
    const auto count = base::parse_unsigned(number, 0, kMost);
    if (!count) return std::nullopt;
    text.remove_prefix(digits);
    const std::size_t length = std::min(text.find_first_of("0123456789 "), text.size());
    const std::string_view name = text.empty() ? "s" : text.substr(0, length);
    const auto* const unit = std::find_if(kUnits.begin() + next_unit, kUnits.end(),
                                          [&](const Unit& each) { return each.name == name; });
    if (unit == kUnits.end()) return std::nullopt;
    next_unit = static_cast<std::size_t>(unit - kUnits.begin()) + 1;
    total = *count > kMost / unit->millis ? kMost : std::min(kMost, total + *count * unit->millis);
    text.remove_prefix(length);
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  }
  return std::chrono::milliseconds(static_cast<std::int64_t>(total));
}

}  // namespace sc::config
