#include "api/refusal_log.h"

#include <memory>
#include <regex>
#include <string>
#include <utility>
#include <vector>

#include "api/caught_log.h"
#include "http/peer_host.h"
#include "net/address.h"
#include "support/catch.h"
#include "support/manual_clock.h"

namespace sc::api {
namespace {

using std::chrono::milliseconds;

// A log of refused changes whose timer the test fires.
struct Refusals {
  void note(const std::string& principal, const std::string& address) {
    const auto peer = net::Address::parse_ip(address, 40000);
    log->note({.principal = principal,
               .address = address,
               .host = http::host_key(*peer),
               .method = "DELETE",
               .path = "/v1/streams/9000",
               .request_id = "a",
               .status = 401,
               .problem = "unauthorized"});
  }
  void end_window() {
    clock.advance(RefusalLog::kEvery);
    for (auto& function : std::exchange(later, {})) function();
  }
  // The lines, each as `principal address times`.
  std::vector<std::string> take() {
    std::vector<std::string> found;
    for (const std::string& line : std::exchange(caught.lines, {})) {
      std::smatch parts;
      if (std::regex_search(line, parts,
                            std::regex("principal=(.*) address=(\\S*) .*times=(\\d*)")))
        found.push_back(parts[1].str() + " " + parts[2].str() + " " + parts[3].str());
      else
        found.push_back(line);
    }
    return found;
  }

  test::CaughtLog caught;
  test::ManualClock clock;
  std::vector<base::Callback<void()>> later;
  std::unique_ptr<RefusalLog> log =
      std::make_unique<RefusalLog>(clock, [this](milliseconds, base::Callback<void()> function) {
        later.push_back(std::move(function));
      });
};

using Lines = std::vector<std::string>;

TEST_CASE("each refused change of a burst is counted in a line, also if no further one comes") {
  Refusals refusals;
  for (int i = 0; i < 50; ++i) refusals.note("none", "192.0.2.1");
  refusals.note("none", "192.0.2.2");
  CHECK(refusals.take() == Lines{"none 192.0.2.1 1", "none 192.0.2.2 1"});
  refusals.end_window();
  CHECK(refusals.take() == Lines{"none 192.0.2.1 49"});
  // It goes on: a line in each kEvery.
  for (int i = 0; i < 30; ++i) refusals.note("none", "192.0.2.1");
  CHECK(refusals.take().empty());
  refusals.end_window();
  CHECK(refusals.take() == Lines{"none 192.0.2.1 30"});
  refusals.end_window();
  CHECK(refusals.take().empty());
  CHECK(refusals.later.empty());  // nothing waits where all is quiet
  refusals.note("none", "192.0.2.1");
  CHECK(refusals.take() == Lines{"none 192.0.2.1 1"});
}

TEST_CASE("refused changes that have no line yet have one at the stop") {
  Refusals refusals;
  for (int i = 0; i < 7; ++i) refusals.note("none", "192.0.2.1");
  refusals.take();
  refusals.log.reset();
  CHECK(refusals.take() == Lines{"none 192.0.2.1 6"});
}

TEST_CASE("one host cannot use up the lines of refused changes") {
  Refusals refusals;
  SECTION("by the addresses of its /64") {
    for (int i = 0; i < 40; ++i) refusals.note("none", "2001:db8::" + std::to_string(i));
    CHECK(refusals.take() == Lines{"none 2001:db8::0 1"});
  }
  SECTION("by many principals") {
    for (int i = 0; i < 40; ++i) refusals.note("uid " + std::to_string(i), "192.0.2.9");
    CHECK(refusals.take().size() == RefusalLog::kMostOfHost);
  }
  refusals.note("none", "192.0.2.1");
  refusals.note("token ci", "192.0.2.1");
  CHECK(refusals.take() == Lines{"none 192.0.2.1 1", "\"token ci\" 192.0.2.1 1"});
}

TEST_CASE("callers without a token cannot use up the lines of those that have one") {
  Refusals refusals;
  for (int i = 0; i < 100; ++i) refusals.note("none", "192.0.3." + std::to_string(i));
  CHECK(refusals.take().size() == RefusalLog::kMostLines);
  refusals.note("token ci", "192.0.2.1");
  CHECK(refusals.take() == Lines{"\"token ci\" 192.0.2.1 1"});
  refusals.end_window();
  CHECK(refusals.take() ==
        Lines{"limit of lines on refused changes reached, lines suppressed count=80"});
  refusals.note("none", "192.0.2.7");
  CHECK(refusals.take() == Lines{"none 192.0.2.7 1"});
}

}  // namespace
}  // namespace sc::api
