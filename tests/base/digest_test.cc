#include "base/digest.h"

#include "support/catch.h"

namespace sc::base {
namespace {

TEST_CASE("SHA-256 is the one of FIPS 180-4, in lower-case hexadecimal") {
  CHECK(sha256_hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(is_sha256_hex(sha256_hex("")));
  CHECK_FALSE(is_sha256_hex(std::string(64, 'A')));
  CHECK_FALSE(is_sha256_hex(std::string(63, 'a')));
  CHECK_FALSE(is_sha256_hex("?"));
}

TEST_CASE("random digits are as many as asked for and never the same") {
  const auto one = random_hex(32);
  const auto two = random_hex(32);
  REQUIRE(one);
  REQUIRE(two);
  CHECK(is_sha256_hex(*one));
  CHECK(*one != *two);
}

TEST_CASE("texts are equal in constant time when they are equal") {
  CHECK(equal_in_constant_time("abc", "abc"));
  CHECK(equal_in_constant_time("", ""));
  CHECK_FALSE(equal_in_constant_time("abc", "abd"));
  CHECK_FALSE(equal_in_constant_time("abc", "abcd"));
}

}  // namespace
}  // namespace sc::base
