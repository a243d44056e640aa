#include "net/local_addresses.h"

#include <ifaddrs.h>
#include <netinet/in.h>

#include <memory>
#include <string>

#include "loop/loop.h"
#include "support/catch.h"

namespace sc::test {
namespace {

using net::Address;

TEST_CASE("loopback, wildcard and interface addresses are this host's, others are not") {
  loop::Loop loop;
  const net::LocalAddresses local(loop);
  for (const char* own :
       {"127.0.0.1", "127.9.9.9", "::1", "0.0.0.0", "::", "::ffff:127.0.0.1", "::ffff:0.0.0.0"}) {
    CAPTURE(own);
    CHECK(local.contains(*Address::parse_ip(own, 9000)));
    CHECK(local.may_contain(*Address::parse_ip(own, 9000)));
  }
  for (const char* foreign : {"192.0.2.1", "128.0.0.1", "2001:db8::1", "::2", "::ffff:192.0.2.1"}) {
    CAPTURE(foreign);
    CHECK_FALSE(local.contains(*Address::parse_ip(foreign, 9000)));
    CHECK_FALSE(local.may_contain(*Address::parse_ip(foreign, 9000)));
  }
  ifaddrs* first = nullptr;
  REQUIRE(::getifaddrs(&first) == 0);
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> list(first, &::freeifaddrs);
  int seen = 0;
  for (const ifaddrs* each = first; each != nullptr; each = each->ifa_next) {
    if (each->ifa_addr == nullptr) continue;
    const int family = each->ifa_addr->sa_family;
    if (family != AF_INET && family != AF_INET6) continue;
    const Address address(each->ifa_addr,
                          family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
    CAPTURE(address.to_string());
    CHECK(local.contains(address));
    ++seen;
  }
  CHECK(seen > 0);
}

TEST_CASE("a unix socket's address is no address of the host") {
  loop::Loop loop;
  const net::LocalAddresses local(loop);
  CHECK_FALSE(local.contains(Address()));
}

}  // namespace
}  // namespace sc::test
