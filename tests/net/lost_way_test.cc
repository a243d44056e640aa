#include "net/lost_way.h"

#include <cerrno>
#include <string>

#include "net/dial_fixture.h"
#include "support/namespaces.h"

namespace sc::test {
namespace {

using net::Address;

TEST_CASE("a lost route, interface or source address is found, and a silent peer is not") {
  const TwoHosts hosts;
  const Address from = *Address::parse_ip("10.97.0.1", 4000);
  const Address to = *Address::parse_ip("10.97.0.2", 80);
  CHECK_FALSE(net::lost_way(from, to));
  CHECK_FALSE(net::lost_way({}, to));
  hosts.cut_power("10.97.0.2");
  CHECK_FALSE(net::lost_way(from, to));
  int error = 0;
  SECTION("its interface") {
    TwoHosts::run("ip link set near down");
    error = ENETUNREACH;
  }
  SECTION("its route") {
    TwoHosts::run("ip route add unreachable 10.97.0.2/32");
    error = EHOSTUNREACH;
  }
  SECTION("its source address") {
    TwoHosts::run("ip address del 10.97.0.1/24 dev near");
    TwoHosts::run("ip route add 10.97.0.0/24 dev near");
    error = EADDRNOTAVAIL;
  }
  const auto lost = net::lost_way(from, to);
  REQUIRE(lost);
  CHECK(lost->error == error);
  CHECK_THAT(lost->why, Catch::StartsWith("10.97.0.2:80: "));
}

struct HostsBefore {
  TwoHosts hosts;
};
struct LosingFixture : HostsBefore, DialFixture {};

TEST_CASE_METHOD(LosingFixture, "an interface that goes down under a dial is not the backend's") {
  options.timeout = std::chrono::milliseconds(300);
  hosts.cut_power("10.97.0.2");
  dial("10.97.0.2", 80);
  TwoHosts::run("ip link set near down");
  check_failed(net::DialFailure::host, "this host cannot dial backend 10.97.0.2:80: ");
  CHECK(outcome.error.error == ENETUNREACH);
}

}  // namespace
}  // namespace sc::test
