#include "base/result.h"

#include <cerrno>
#include <memory>
#include <set>

#include "support/catch.h"

namespace sc::test {
namespace {

using base::Errc;
using base::Error;
using base::Result;

Result<int> half(int number) {
  if (number % 2 != 0) return Error{Errc::invalid, "odd"};
  return number / 2;
}

TEST_CASE("a result holds a value or an error") {
  const auto good = half(4);
  REQUIRE(good);
  CHECK(good.has_value());
  CHECK(*good == 2);
  const auto bad = half(5);
  REQUIRE_FALSE(bad);
  CHECK(bad.error() == Error{Errc::invalid, "odd"});
}

TEST_CASE("a value that only moves goes in and out of a result") {
  Result<std::unique_ptr<int>> result(std::make_unique<int>(7));
  REQUIRE(result);
  const std::unique_ptr<int> taken = *std::move(result);
  CHECK(*taken == 7);
}

TEST_CASE("a result's value is reached by an arrow and can be changed") {
  Result<std::string> result(std::string("abc"));
  CHECK(result->size() == 3);
  *result += "d";
  CHECK(*result == "abcd");
}

TEST_CASE("success without a value is a result as well") {
  CHECK(Result<void>{});
  const Result<void> bad(Error{Errc::conflict, "taken"});
  REQUIRE_FALSE(bad);
  CHECK(bad.error().code == Errc::conflict);
}

TEST_CASE("each error code has a word of its own") {
  std::set<std::string_view> words;
  for (const Errc code :
       {Errc::invalid, Errc::not_found, Errc::conflict, Errc::unauthorized, Errc::forbidden,
        Errc::privilege, Errc::replaced, Errc::unavailable, Errc::internal})
    words.insert(to_string(code));
  CHECK(words.size() == 9);
  CHECK(words.count("not_found") == 1);
  CHECK(words.count("?") == 0);
}

TEST_CASE("an errno is told in words and by its name") {
  CHECK(base::describe_errno("bind", EADDRINUSE) == "bind: Address already in use (EADDRINUSE)");
  CHECK(base::describe_errno("x", 123456) == "x: unknown error (123456)");
}

}  // namespace
}  // namespace sc::test
