#include "api/failed_tokens.h"

#include <string>
#include <vector>

#include "support/catch.h"

namespace sc::api {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;

const base::Instant kNow{std::chrono::hours{1}};

net::Address peer(const std::string& ip) { return *net::Address::parse_ip(ip, 40000); }

TEST_CASE("the answer to each wrong token of an address comes later, up to four seconds") {
  FailedTokens failed;
  std::vector<std::int64_t> delays;
  for (int i = 0; i < 7; ++i) delays.push_back(failed.note(peer("192.0.2.1"), kNow).delay.count());
  CHECK(delays == std::vector<std::int64_t>{250, 500, 1000, 2000, 4000, 4000, 4000});
  CHECK(failed.note(peer("192.0.2.2"), kNow).delay.count() == 250);
}

TEST_CASE("after ten wrong tokens none of that address is looked at for the rest of ten minutes") {
  FailedTokens failed;
  for (int i = 0; i < 9; ++i) failed.note(peer("192.0.2.1"), kNow);
  CHECK(failed.blocked_for(peer("192.0.2.1"), kNow).count() == 0);
  CHECK(failed.note(peer("192.0.2.1"), kNow + minutes{1}).count == FailedTokens::kMost);
  CHECK(failed.blocked_for(peer("192.0.2.1"), kNow + minutes{1}) == minutes{9});
  CHECK(failed.blocked_for(peer("::ffff:192.0.2.1"), kNow + minutes{1}) == minutes{9});
  CHECK(failed.blocked_for(peer("192.0.2.2"), kNow).count() == 0);
  CHECK(failed.blocked_for(peer("192.0.2.1"), kNow + minutes{10}).count() == 0);
  CHECK(failed.note(peer("192.0.2.1"), kNow + minutes{10}).count == 1);
}

TEST_CASE("an IPv6 host is counted by its /64") {
  FailedTokens failed;
  for (int i = 0; i < 10; ++i) failed.note(peer("2001:db8:0:1::" + std::to_string(i + 1)), kNow);
  CHECK(failed.blocked_for(peer("2001:db8:0:1:ffff::1"), kNow).count() > 0);
  CHECK(failed.blocked_for(peer("2001:db8:0:2::1"), kNow).count() == 0);
}

TEST_CASE("loopback is held up and never shut out") {
  FailedTokens failed;
  for (const char* ip : {"127.0.0.1", "::1"}) {
    for (int i = 0; i < 20; ++i) failed.note(peer(ip), kNow);
    CHECK(failed.blocked_for(peer(ip), kNow).count() == 0);
    CHECK(failed.note(peer(ip), kNow).delay == FailedTokens::kMostDelay);
  }
}

TEST_CASE("the table is bounded, and the oldest address goes") {
  FailedTokens failed;
  const auto nth = [](std::size_t i) {
    return peer("10.0." + std::to_string(i / 256) + "." + std::to_string(i % 256));
  };
  for (std::size_t i = 0; i < FailedTokens::kMaxAddresses; ++i)
    failed.note(nth(i), kNow + milliseconds{i});
  failed.note(peer("192.0.2.1"), kNow + minutes{1});
  CHECK(failed.size() == FailedTokens::kMaxAddresses);
  CHECK(failed.note(nth(1), kNow + minutes{1}).count == 2);
  CHECK(failed.note(nth(0), kNow + minutes{1}).count == 1);  // was the oldest
  failed.note(peer("192.0.2.2"), kNow + minutes{20});
  CHECK(failed.size() == 1);
}

}  // namespace
}  // namespace sc::api
