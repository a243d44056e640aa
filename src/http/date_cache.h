#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace sc::http {

// The Date header's value, formatted once in a second. One thread.
class DateCache {
 public:
  explicit DateCache(const base::Clock& clock) : clock_(clock) {}

  // Valid until the next call.
  std::string_view now() {
    const auto wall = clock_.wall();
    const auto second = std::chrono::floor<std::chrono::seconds>(wall.time_since_epoch()).count();
    if (second != second_ || text_.empty()) {
      second_ = second;
      text_ = base::to_http_date(wall);
    }
    return text_;
  }

 private:
  const base::Clock& clock_;
  std::int64_t second_ = 0;
  std::string text_;
};

}  // namespace sc::http
