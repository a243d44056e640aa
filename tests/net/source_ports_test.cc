#include "net/source_ports.h"

#include "support/catch.h"

namespace sc::test {
namespace {

using net::may_be_source;
using net::SourcePorts;

constexpr SourcePorts kGiven{32768, 60999};

TEST_CASE("a port range overlaps the source ports, or lies beside them") {
  CHECK_FALSE(may_be_source(9000, 9009, kGiven, ""));
  CHECK_FALSE(may_be_source(61000, 65535, kGiven, ""));
  CHECK_FALSE(may_be_source(9000, 32767, kGiven, ""));
  CHECK(may_be_source(9000, 32768, kGiven, ""));
  CHECK(may_be_source(60999, 65535, kGiven, ""));
  CHECK(may_be_source(40000, 40000, kGiven, ""));
  CHECK(may_be_source(1, 65535, kGiven, ""));
}

TEST_CASE("reserved ports are given to no connection") {
  CHECK_FALSE(may_be_source(40000, 40009, kGiven, "40000-40009"));
  CHECK_FALSE(may_be_source(40000, 40009, kGiven, "8080,40000-40004,40005-40009,50000"));
  CHECK_FALSE(may_be_source(40000, 40000, kGiven, "40000"));
  CHECK_FALSE(may_be_source(9000, 32768, kGiven, "32768"));
  CHECK(may_be_source(40000, 40009, kGiven, "40000-40008"));
  CHECK(may_be_source(40000, 40009, kGiven, "40001-40009"));
  CHECK(may_be_source(40000, 40009, kGiven, "40000-40003,40005-40009"));
  CHECK(may_be_source(40000, 40009, kGiven, "8080"));
}

TEST_CASE("the range of this host is read") {
  const auto given = net::source_ports();
  REQUIRE(given);
  CHECK(given->first > 0);
  CHECK(given->last >= given->first);
}

}  // namespace
}  // namespace sc::test
