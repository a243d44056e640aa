#include "http/query.h"

#include "support/catch.h"

using namespace sc::http;

TEST_CASE("a query is read in its order, duplicates too") {
  CHECK(parse_query("") == QueryFields{});
  CHECK(parse_query("a=1&b=2&a=3") == QueryFields{{"a", "1"}, {"b", "2"}, {"a", "3"}});
  CHECK(parse_query("a&b=&c==") == QueryFields{{"a", ""}, {"b", ""}, {"c", "="}});
}

TEST_CASE("a plus in a query is a space, and an escaped plus is a plus") {
  CHECK(parse_query("a+b=c+d%2Be+") == QueryFields{{"a b", "c d+e "}});
}

TEST_CASE("a query's escapes are decoded behind its splitting") {
  CHECK(parse_query("a%26b=%3D%26&%63=%20%2B") == QueryFields{{"a&b", "=&"}, {"c", " +"}});
}

TEST_CASE("a malformed query is none") {
  for (const char* query :
       {"a=%", "a=%4", "a=%zz", "a=%00", "%=1", "=1", "&", "a&", "&a", "a&&b"}) {
    INFO(query);
    CHECK_FALSE(parse_query(query).has_value());
  }
}
