#include "net/address.h"

#include <net/if.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <string>
#include <vector>

#include "support/catch.h"

namespace sc::test {
namespace {

using net::Address;
using namespace std::string_literals;

Address ip(std::string_view text, std::uint16_t port = 80) {
  auto parsed = Address::parse_ip(text, port);
  REQUIRE(parsed);
  return *parsed;
}

TEST_CASE("an IP literal is read and shown with its port") {
  struct Row {
    std::string text;
    int family;
    std::string shown;
  };
  const std::vector<Row> rows{
      {"1.2.3.4", AF_INET, "1.2.3.4:80"},
      {"0.0.0.0", AF_INET, "0.0.0.0:80"},
      {"::", AF_INET6, "[::]:80"},
      {"::1", AF_INET6, "[::1]:80"},
      {"2001:DB8:0:0:0:0:0:7", AF_INET6, "[2001:db8::7]:80"},
      {"::ffff:10.0.0.1", AF_INET6, "10.0.0.1:80"},
  };
  for (const Row& row : rows) {
    const Address address = ip(row.text);
    CHECK(address.family() == row.family);
    CHECK(address.port() == 80);
    CHECK(address.to_string() == row.shown);
    CHECK_FALSE(address.is_unix());
  }
}

TEST_CASE("what is no IP literal is refused") {
  for (const std::string& bad :
       {""s, "localhost"s, "1.2.3"s, "1.2.3.4.5"s, "256.1.1.1"s, "01.2.3.4"s, "0x7f.1"s, "1"s,
        " 1.2.3.4"s, "1.2.3.4 "s, "1.2.3.4:80"s, "[::1]"s, "::1%lo"s, "fe80::1%"s, "1::2::3"s,
        "1.2.3.4\0"s, "1.2.3.4\0.example"s, "::1\0x"s}) {
    CAPTURE(bad);
    const auto parsed = Address::parse_ip(bad, 80);
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().code == base::Errc::invalid);
  }
}

TEST_CASE("a link-local address has a zone, which is an interface of this host") {
  const auto address = Address::parse_ip("fe80::1%lo", 80);
  REQUIRE(address);
  CHECK(reinterpret_cast<const sockaddr_in6*>(address->raw())->sin6_scope_id ==
        ::if_nametoindex("lo"));
  CHECK(address->ip() == "fe80::1%lo");
  CHECK(address->to_string() == "[fe80::1%lo]:80");
  CHECK(address->is_link_local());
  const net::PackedAddress packed(*address);
  CHECK(packed.address() == *address);
  CHECK(packed.to_string() == "[fe80::1%lo]:80");
  CHECK_FALSE(packed == net::PackedAddress(*Address::parse_ip("fe80::1", 80)));
  const auto missing = Address::parse_ip("fe80::1%none0", 80);
  REQUIRE_FALSE(missing);
  CHECK(missing.error().code == base::Errc::not_found);
}

TEST_CASE("loopback is 127/8, ::1, and 127/8 mapped into IPv6") {
  for (const char* yes :
       {"127.0.0.1", "127.255.255.255", "::1", "::ffff:127.0.0.1", "::ffff:127.1.2.3"})
    CHECK(ip(yes).is_loopback());
  for (const char* no : {"126.0.0.1", "128.0.0.1", "0.0.0.0", "10.0.0.127", "::", "::2",
                         "::ffff:10.0.0.1", "::127.0.0.1", "fe80::1", "2001:db8::1"})
    CHECK_FALSE(ip(no).is_loopback());
  CHECK_FALSE(Address().is_loopback());
}

TEST_CASE("addresses are equal when family, address and port are") {
  CHECK(ip("1.2.3.4") == ip("1.2.3.4"));
  CHECK_FALSE(ip("1.2.3.4") == ip("1.2.3.5"));
  CHECK_FALSE(ip("1.2.3.4", 80) == ip("1.2.3.4", 81));
  CHECK(ip("2001:db8::7") == ip("2001:db8:0::7"));
  CHECK_FALSE(ip("::") == ip("0.0.0.0"));
  // Shown alike, but not the same to the kernel.
  CHECK_FALSE(ip("::ffff:1.2.3.4") == ip("1.2.3.4"));
  CHECK(Address() == Address());
}

TEST_CASE("a port is replaced in either family") {
  for (const char* text : {"1.2.3.4", "::1"}) {
    Address address = ip(text, 1);
    address.set_port(65535);
    CHECK(address.port() == 65535);
    CHECK(address == ip(text, 65535));
  }
}

TEST_CASE("the wildcards are all zeros of their family") {
  CHECK(Address::any_v4(9000) == ip("0.0.0.0", 9000));
  CHECK(Address::any_v6(9000) == ip("::", 9000));
}

TEST_CASE("a unix address and an empty one have a word and no port") {
  sockaddr_un path{};
  path.sun_family = AF_UNIX;
  Address address(reinterpret_cast<const sockaddr*>(&path), sizeof(sa_family_t));
  CHECK(address.is_unix());
  CHECK_FALSE(address.is_loopback());
  CHECK(address.to_string() == "unix");
  address.set_port(80);
  CHECK(address.port() == 0);
  CHECK(Address().to_string() == "unknown");
  CHECK(Address().family() == AF_UNSPEC);
}

TEST_CASE("an address that was packed shows the same, and IPv4 in IPv6 is IPv4") {
  for (const char* text : {"1.2.3.4", "0.0.0.0", "::", "::1", "2001:db8::7"}) {
    CAPTURE(text);
    const net::PackedAddress packed(ip(text, 65535));
    CHECK_FALSE(packed.is_empty());
    CHECK(packed.address() == ip(text, 65535));
    CHECK(packed.to_string() == ip(text, 65535).to_string());
  }
  const net::PackedAddress mapped(ip("::ffff:10.0.0.1", 80));
  CHECK(mapped == net::PackedAddress(ip("10.0.0.1", 80)));
  CHECK(mapped.has_ip_of(net::PackedAddress(ip("10.0.0.1", 81))));
  CHECK_FALSE(mapped.has_ip_of(net::PackedAddress(ip("10.0.0.2", 80))));
  CHECK_FALSE(net::PackedAddress(ip("::", 80)).has_ip_of(net::PackedAddress(ip("0.0.0.0", 80))));
}

TEST_CASE("what has no IP is packed as nothing") {
  const net::PackedAddress nothing{Address()};
  CHECK(nothing.is_empty());
  CHECK(nothing == net::PackedAddress());
  CHECK(nothing.to_string().empty());
  CHECK(nothing.address() == Address());
}

}  // namespace
}  // namespace sc::test
