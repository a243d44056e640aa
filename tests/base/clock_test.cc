#include "base/clock.h"

#include <cstdint>
#include <string>
#include <vector>

#include "support/catch.h"
#include "support/manual_clock.h"

namespace sc::test {
namespace {

using base::WallTime;

WallTime at(std::int64_t millis) { return WallTime(std::chrono::milliseconds(millis)); }

struct Known {
  std::int64_t millis;
  std::string iso;
  std::string http;
};

// Checked with `date -u -d @SECONDS`.
const std::vector<Known> kKnown{
    {0, "1970-01-01T00:00:00.000Z", "Thu, 01 Jan 1970 00:00:00 GMT"},
    {784'111'777'000, "1994-11-06T08:49:37.000Z", "Sun, 06 Nov 1994 08:49:37 GMT"},
    {951'782'400'000, "2000-02-29T00:00:00.000Z", "Tue, 29 Feb 2000 00:00:00 GMT"},
    {951'868'799'999, "2000-02-29T23:59:59.999Z", "Tue, 29 Feb 2000 23:59:59 GMT"},
    {1'709'251'199'999, "2024-02-29T23:59:59.999Z", "Thu, 29 Feb 2024 23:59:59 GMT"},
    {1'709'251'200'000, "2024-03-01T00:00:00.000Z", "Fri, 01 Mar 2024 00:00:00 GMT"},
    {1'793'541'780'042, "2026-11-01T14:03:00.042Z", "Sun, 01 Nov 2026 14:03:00 GMT"},
    {2'147'483'648'000, "2038-01-19T03:14:08.000Z", "Tue, 19 Jan 2038 03:14:08 GMT"},
    {4'107'542'400'000, "2100-03-01T00:00:00.000Z", "Mon, 01 Mar 2100 00:00:00 GMT"},
    {253'402'300'799'999, "9999-12-31T23:59:59.999Z", "Fri, 31 Dec 9999 23:59:59 GMT"},
    {-1, "1969-12-31T23:59:59.999Z", "Wed, 31 Dec 1969 23:59:59 GMT"},
    {-86'400'000, "1969-12-31T00:00:00.000Z", "Wed, 31 Dec 1969 00:00:00 GMT"},
};

TEST_CASE("known instants are written in ISO 8601 and as an HTTP date") {
  for (const Known& known : kKnown) {
    CHECK(base::to_iso8601(at(known.millis)) == known.iso);
    CHECK(base::to_http_date(at(known.millis)) == known.http);
  }
}

TEST_CASE("what was written in ISO 8601 is read as the same instant") {
  for (const Known& known : kKnown) {
    const auto read = base::parse_iso8601(known.iso);
    REQUIRE(read);
    CHECK(*read == at(known.millis));
  }
}

TEST_CASE("only the full ISO 8601 form in UTC is read") {
  for (const char* bad :
       {"", "2026-11-01", "2026-11-01T14:03:00Z", "2026-11-01T14:03:00.000",
        "2026-11-01T14:03:00.000+", "2026-11-01 14:03:00.000Z", "2026-11-01T14:03:00.000z",
        "2026-11-01T14:03:00.0000Z", " 026-11-01T14:03:00.000Z", "2026-11-01T24:00:00.000Z",
        "2026-11-01T14:60:00.000Z", "2026-11-01T14:03:60.000Z", "2026-13-01T14:03:00.000Z",
        "2026-00-01T14:03:00.000Z", "2026-11-31T14:03:00.000Z", "2023-02-29T00:00:00.000Z",
        "2100-02-29T00:00:00.000Z", "-026-11-01T14:03:00.000Z"}) {
    CAPTURE(bad);
    CHECK_FALSE(base::parse_iso8601(bad));
  }
}

TEST_CASE("a time may be told in any form of RFC 3339") {
  struct Row {
    const char* text;
    const char* iso;
  };
  const Row rows[] = {
      {"2026-11-01T14:03:00.000Z", "2026-11-01T14:03:00.000Z"},
      {"2026-11-01T14:03:00Z", "2026-11-01T14:03:00.000Z"},
      {"2026-11-01t14:03:00z", "2026-11-01T14:03:00.000Z"},
      {"2026-11-01T14:03:00.5Z", "2026-11-01T14:03:00.500Z"},
      {"2026-11-01T14:03:00.123999Z", "2026-11-01T14:03:00.123Z"},
      {"2026-11-01T15:03:00+01:00", "2026-11-01T14:03:00.000Z"},
      {"2026-10-31T23:33:00.25-05:30", "2026-11-01T05:03:00.250Z"},
      {"2024-02-29T23:59:59-00:01", "2024-03-01T00:00:59.000Z"},
      {"0000-01-01T00:00:00Z", "0000-01-01T00:00:00.000Z"},
      {"9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"},
  };
  for (const Row& row : rows) {
    INFO(row.text);
    const auto read = base::parse_rfc3339(row.text);
    REQUIRE(read);
    CHECK(base::to_iso8601(*read) == row.iso);
  }
}

TEST_CASE("what is no time of RFC 3339 is none") {
  for (const char* bad :
       {"", "2026-11-01", "2026-11-01T14:03:00", "2026-11-01T14:03Z", "2026-11-01 14:03:00Z",
        "2026-11-01T14:03:00.Z", "2026-11-01T14:03:00,5Z", "2026-11-01T14:03:60Z",
        "2026-11-01T24:00:00Z", "2026-02-29T00:00:00Z", "2026-11-01T14:03:00+0100",
        "2026-11-01T14:03:00+24:00", "2026-11-01T14:03:00+01:60", "2026-11-01T14:03:00+1:00",
        "2026-11-01T14:03:00Zx", "2026-11-01T14:03:00 Z", "+026-11-01T14:03:00Z",
        "0000-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01"}) {
    INFO(bad);
    CHECK_FALSE(base::parse_rfc3339(bad));
  }
}

TEST_CASE("the system clock's steady time does not go back") {
  const base::SystemClock clock;
  const auto before = clock.steady();
  CHECK(clock.steady() >= before);
  CHECK(clock.wall() > at(1'700'000'000'000));
}

TEST_CASE("the tests' clock moves when it is told and not by itself") {
  ManualClock clock;
  CHECK(base::to_iso8601(clock.wall()) == "2026-11-01T14:03:00.000Z");
  const auto before = clock.steady();
  CHECK(clock.steady() == before);
  clock.advance(std::chrono::milliseconds(1500));
  CHECK(base::to_iso8601(clock.wall()) == "2026-11-01T14:03:01.500Z");
  CHECK(clock.steady() - before == std::chrono::milliseconds(1500));
  clock.set_wall(at(0));
  CHECK(clock.wall() == at(0));
}

}  // namespace
}  // namespace sc::test
