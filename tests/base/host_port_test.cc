#include <string>
#include <vector>

#include "base/text.h"
#include "support/catch.h"

namespace sc::test {
namespace {

using base::HostPort;
using namespace std::string_literals;

// `size` characters in labels of at most 63.
std::string name_of(std::size_t size) {
  std::string name;
  while (name.size() < size) name += name.size() % 64 == 63 ? '.' : 'a';
  return name;
}

TEST_CASE("a backend with a scheme is refused, and the reason is the scheme") {
  for (const char* text : {"http://x:80", "https://x", "tcp://[::1]:80", "http:x:80"}) {
    const auto parsed = base::parse_host_port(text);
    REQUIRE_FALSE(parsed);
    CHECK_THAT(parsed.error().message, Catch::Contains("write host:port, without a scheme"));
  }
}

TEST_CASE("a backend with several colons is no IPv6 address unless it could be one") {
  const auto why = [](const char* text) { return base::parse_host_port(text).error().message; };
  CHECK_THAT(why("db:80:90"), Catch::Contains("with one colon"));
  CHECK_THAT(why("2001:db8::1:80"), Catch::Contains("in brackets"));
  CHECK_THAT(why("fe80::1%eth0:80"), Catch::Contains("in brackets"));
}

TEST_CASE("a backend is a name, an IPv4 address or an IPv6 address in brackets, with a port") {
  const std::vector<std::pair<std::string, HostPort>> good{
      {"mybackend:2000", {"mybackend", 2000}},
      {"My-Back.End.example:1", {"My-Back.End.example", 1}},
      {"my_service:65535", {"my_service", 65535}},
      {"example.com.:80", {"example.com.", 80}},
      {"a:80", {"a", 80}},
      {"3com.example:80", {"3com.example", 80}},
      {"1.2.3.4x:80", {"1.2.3.4x", 80}},
      {"xn--bcher-kva.example:80", {"xn--bcher-kva.example", 80}},
      {"127.0.0.1:7000", {"127.0.0.1", 7000}},
      {"255.255.255.255:1", {"255.255.255.255", 1}},
      {"[::1]:80", {"::1", 80}},
      {"[::]:80", {"::", 80}},
      {"[2001:db8::7]:443", {"2001:db8::7", 443}},
      {"[::ffff:10.0.0.1]:443", {"::ffff:10.0.0.1", 443}},
  };
  for (const auto& [text, expected] : good) {
    CAPTURE(text);
    const auto parsed = base::parse_host_port(text);
    REQUIRE(parsed);
    CHECK(*parsed == expected);
    CHECK(to_string(*parsed) == text);
  }
}

TEST_CASE("what is no backend is refused") {
  for (const std::string& bad :
       {""s, ":"s, ":80"s, "host"s, "host:"s, "host: 80"s, "host :80"s, " host:80"s, "host:80 "s,
        "host:0"s, "host:65536"s, "host:080"s, "host:+1"s, "host:-1"s, "host:http"s, "host:80:80"s,
        "host:99999999999999999999"s, "host:80/"s, "http://host:80"s, "user@host:80"s,
        // What could say something in another program's configuration, log or terminal.
        "host;:80"s, "host:80;"s, "a;b:80"s, "host\n:80"s, "host:80\n"s, "host\r:80"s, "\thost:80"s,
        "host\0:80"s, "host:80\0"s, "\0host:80"s, "ho\x1bst:80"s, "host\x7f:80"s, "h\xc3\xb6st:80"s,
        "ho st:80"s, "host%41:80"s, "$host:80"s, "{host}:80"s, "#host:80"s, "host\\:80"s,
        "\"host\":80"s, "*:80"s, "unix:/run/x:80"s,
        // Dots.
        ".:80"s, "..:80"s, ".host:80"s, "a..b:80"s, "host..:80"s,
        // IPv6.
        "::1:80"s, "2001:db8::7:443"s, "[::1]"s, "[::1]:"s, "[::1]80"s, "[::1]:0"s, "[::1"s,
        "::1]:80"s, "[]:80"s, "[host]:80"s, "[127.0.0.1]:80"s, "[::1%lo]:80"s, "[::1 ]:80"s,
        "[[::1]]:80"s, "[::1]x:80"s, "[1:2:3]:80"s, "[::1\0]:80"s, "[fe80::1%25eth0]:80"s}) {
    CAPTURE(base::quoted(bad));
    const auto parsed = base::parse_host_port(bad);
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().code == base::Errc::invalid);
    CHECK(parsed.error().message.find(base::quoted(bad)) != std::string::npos);
  }
}

TEST_CASE("a host that the resolver would read as a number is refused") {
  // inet_aton(3) reads each of these as an IPv4 address other than what a person sees in it.
  for (const char* bad :
       {"1:80", "2130706433:80", "127.1:80", "127.0.1:80", "1.2.3:80", "256.1.1.1:80",
        "1.2.3.4.5:80", "01.2.3.4:80", "1.2.3.04:80", "1.2.3.4.:80", "host.1:80", "host.123.:80",
        "0x7f000001:80", "0X7F.1:80", "127.0.0.0x1:80", "0x7f.0x1:80", "0x7f000001.:80"}) {
    CAPTURE(bad);
    CHECK_FALSE(base::parse_host_port(bad));
  }
  CHECK(base::parse_host_port("0xcafe.example:80"));
  CHECK(base::parse_host_port("host.0xyz:80"));
}

TEST_CASE("a name has up to 253 characters, not counting the root's dot") {
  CHECK(base::parse_host_port(name_of(253) + ":80"));
  CHECK(base::parse_host_port(name_of(253) + ".:80"));
  CHECK_FALSE(base::parse_host_port(name_of(254) + ":80"));
  CHECK_FALSE(base::parse_host_port(name_of(254) + ".:80"));
  CHECK_FALSE(base::parse_host_port(std::string(100'000, 'a') + ":80"));
}

TEST_CASE("a label of a name has up to 63 characters") {
  const std::string most(63, 'a');
  CHECK(base::parse_host_port(most + ":80"));
  CHECK(base::parse_host_port("x." + most + ".y:80"));
  CHECK_FALSE(base::parse_host_port(most + "a:80"));
  CHECK_FALSE(base::parse_host_port("x." + most + "a.y:80"));
}

TEST_CASE("an IP literal is a dotted quad or IPv6 without brackets and zone") {
  for (const char* good : {"1.2.3.4", "0.0.0.0", "::", "::1", "2001:DB8::7", "::ffff:1.2.3.4"})
    CHECK(base::is_ip_literal(good));
  for (const std::string& bad :
       {""s, "host"s, "1.2.3"s, "1.2.3.4 "s, "01.2.3.4"s, "[::1]"s, "::1%lo"s, "fe80::1%a/b"s,
        "fe80::1%"s, "fe80::1%0123456789abcdef"s, "1.2.3.4\0"s, "::1\0x"s, "1.2.3.4:80"s})
    CHECK_FALSE(base::is_ip_literal(bad));
}

TEST_CASE("a link-local IPv6 backend has a zone") {
  const auto parsed = base::parse_host_port("[fe80::1%eth0]:80");
  REQUIRE(parsed);
  CHECK(parsed->host == "fe80::1%eth0");
  CHECK(base::to_string(*parsed) == "[fe80::1%eth0]:80");
  CHECK(base::is_ip_literal("fe80::1%eth0"));
  CHECK(base::lacks_zone("fe80::1"));
  CHECK(base::lacks_zone("febf::1"));
  for (const char* fine : {"fe80::1%eth0", "fec0::1", "2001:db8::1", "10.0.0.1", "fe80"})
    CHECK_FALSE(base::lacks_zone(fine));
  const auto wrong = base::parse_host_port("[2001:db8::1%eth0]:80");
  REQUIRE_FALSE(wrong);
  CHECK_THAT(wrong.error().message, Catch::Contains("a zone is the name of an interface"));
}

}  // namespace
}  // namespace sc::test
