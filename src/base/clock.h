#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace sc::base {

// Milliseconds since 1970-01-01T00:00:00Z; what is written to the database and to logs.
using WallTime = std::chrono::time_point<std::chrono::system_clock, std::chrono::milliseconds>;
// CLOCK_MONOTONIC; what deadlines are made of.
using Instant = std::chrono::steady_clock::time_point;

// One moment by both clocks.
struct Moment {
  WallTime wall{};
  Instant steady{};
};

// CLOCK_MONOTONIC as it can be written down: it begins anew with each boot of the host.
struct BootTime {
  std::string boot_id;  // /proc/sys/kernel/random/boot_id; empty: it cannot be read
  std::chrono::milliseconds monotonic{0};
  bool operator==(const BootTime&) const = default;
};

// Where time comes from, so that tests can set it. Implementations may be called from any thread.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual WallTime wall() const = 0;
  virtual Instant steady() const = 0;
  virtual std::string boot_id() const = 0;  // see BootTime

  Moment now() const { return {wall(), steady()}; }
  BootTime boot() const {
    return {boot_id(), std::chrono::floor<std::chrono::milliseconds>(steady().time_since_epoch())};
  }
};

class SystemClock final : public Clock {
 public:
  WallTime wall() const override {
    return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
  }
  Instant steady() const override { return std::chrono::steady_clock::now(); }
  std::string boot_id() const override;
};

// ISO 8601 in UTC with milliseconds: `2026-11-01T14:03:00.000Z` (RFC 3339). Years 0 to 9999.
std::string to_iso8601(WallTime time);
// That form only, milliseconds and `Z` included.
std::optional<WallTime> parse_iso8601(std::string_view text);
// Any form of RFC 3339: `2026-11-01T15:03:00.5+01:00`, `T` and `Z` in either case, no fraction or
// one of any length, cut to milliseconds. No leap second, and nothing that leaves the years 0 to
// 9999 in UTC.
std::optional<WallTime> parse_rfc3339(std::string_view text);

// IMF-fixdate of RFC 9110 section 5.6.7, as in the Date header: `Sun, 06 Nov 1994 08:49:37 GMT`.
std::string to_http_date(WallTime time);

}  // namespace sc::base
