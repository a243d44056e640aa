#include "base/authority.h"

#include <initializer_list>
#include <string>

#include "support/catch.h"

namespace sc::base {
namespace {

using Kind = Authority::Kind;

TEST_CASE("an authority is a name or an address, and a port") {
  struct Row {
    const char* text;
    Authority wanted;
  };
  const std::initializer_list<Row> rows{
      {"localhost", {Kind::name, "localhost", {}}},
      {"LocalHost:5000", {Kind::name, "localhost", 5000}},
      {"localhost.:5000", {Kind::name, "localhost", 5000}},
      {"edge_7.example", {Kind::name, "edge_7.example", {}}},
      {"a%20b", {Kind::name, "a%20b", {}}},
      {"", {Kind::name, "", {}}},
      {":80", {Kind::name, "", 80}},
      {"127.0.0.1:80", {Kind::ipv4, "127.0.0.1", 80}},
      {"127.0.0.1:", {Kind::ipv4, "127.0.0.1", {}}},
      {"127.0.0.1:0080", {Kind::ipv4, "127.0.0.1", 80}},
      {"127.0.0.1.", {Kind::ipv4, "127.0.0.1", {}}},
      {"127.1", {Kind::name, "127.1", {}}},
      {"[::1]", {Kind::ipv6, "::1", {}}},
      {"[0:0:0:0:0:0:0:1]:5000", {Kind::ipv6, "::1", 5000}},
      {"[2001:DB8::0:1]:1", {Kind::ipv6, "2001:db8::1", 1}},
      {"[fe80::1%eth0]:1", {Kind::ipv6, "fe80::1", 1}},
      {"[fe80::1%25eth0]:1", {Kind::ipv6, "fe80::1", 1}},
      {"[fe80::1%2525eth0]:1", {Kind::ipv6, "fe80::1", 1}},
  };
  for (const Row& row : rows) {
    INFO(row.text);
    CHECK(parse_authority(row.text) == row.wanted);
  }
}

TEST_CASE("hosts compare without regard to case, the root's dot and the spelling of IPv6") {
  struct Row {
    const char* host;
    const char* wanted;
  };
  for (const Row& row : std::initializer_list<Row>{{"DB.Example.", "db.example"},
                                                   {"db", "db"},
                                                   {"10.0.0.1", "10.0.0.1"},
                                                   {"2001:DB8:0:0::1", "2001:db8::1"},
                                                   {"0:0:0:0:0:0:0:1", "::1"},
                                                   {"FE80:0::1%Eth0", "fe80::1%Eth0"},
                                                   {"db..", "db."},
                                                   {".", "."},
                                                   {"", ""}})
    CHECK(comparable_host(row.host) == row.wanted);
}

TEST_CASE("what only looks like an authority is none") {
  for (const char* text : {"[::1].evil.com",
                           "[::1]evil",
                           "[::1",
                           "::1",
                           "[]",
                           "[localhost]",
                           "[127.0.0.1]",
                           "[v1.a]",
                           "[::1]:80:evil.com",
                           "127.0.0.1:80:evil.com",
                           "127.0.0.1:evil",
                           "127.0.0.1:80 ",
                           "127.0.0.1:65536",
                           "127.0.0.1:+80",
                           "user@localhost",
                           "localhost/",
                           "localhost:80/",
                           "local host",
                           "localhost\x7f",
                           "a%2",
                           "a%zz",
                           "b\xc3\xbc",
                           "[::1%eth0]",
                           "localhost..",
                           "a,b:1:2"})
    CHECK_FALSE(parse_authority(text));
}

TEST_CASE("only localhost and the loopback addresses lead to this host whoever resolves them") {
  const auto is_loopback = [](const char* text) {
    const auto authority = parse_authority(text);
    return authority && names_loopback(*authority);
  };
  for (const char* text : {"localhost", "LOCALHOST.:1", "x.localhost:1", "127.0.0.1", "127.9.9.9:1",
                           "[::1]:1", "[0::0:1]"})
    CHECK(is_loopback(text));
  for (const char* text :
       {"localhost.evil.com", "evil-localhost", "127.0.0.1.evil.com", "127.1", "0.0.0.0", "[::]",
        "[::ffff:127.0.0.1]", "[::1].evil.com", "127.0.0.1:80:evil.com", "edge7", ""})
    CHECK_FALSE(is_loopback(text));
}

}  // namespace
}  // namespace sc::base
