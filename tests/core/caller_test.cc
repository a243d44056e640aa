#include "core/caller.h"

#include "support/catch.h"

namespace sc::core {
namespace {

Caller make(Role role, const char* ports = nullptr) {
  Caller caller{"token ci", role, std::nullopt};
  if (ports != nullptr) caller.ports = *PortRanges::parse(ports);
  return caller;
}

TEST_CASE("each role may what the ones below it may") {
  CHECK(check_may_read(make(Role::viewer)));
  CHECK_FALSE(check_may_change(make(Role::viewer), 9000));
  CHECK_FALSE(check_may_administer(make(Role::viewer)));

  CHECK(check_may_read(make(Role::operator_)));
  CHECK(check_may_change(make(Role::operator_), 9000));
  CHECK_FALSE(check_may_administer(make(Role::operator_)));

  CHECK(check_may_read(make(Role::admin)));
  CHECK(check_may_change(make(Role::admin), 9000));
  CHECK(check_may_administer(make(Role::admin)));
}

TEST_CASE("who has some ports changes those alone and reads all") {
  const Caller scoped = make(Role::operator_, "9000-9004,9009");
  CHECK(check_may_read(scoped));
  CHECK(check_may_change(scoped, 9004));
  CHECK(check_may_change(scoped, 9009));
  const auto refused = check_may_change(scoped, 9005);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == base::Errc::forbidden);
  CHECK(refused.error().message == "token ci may change the ports 9000-9004,9009 only, not 9005");
}

TEST_CASE("an admin of some ports is none of all") {
  CHECK_FALSE(check_may_administer(make(Role::admin, "9000-9004")));
}

TEST_CASE("a refusal says what the role is and what it takes") {
  CHECK(check_may_change(make(Role::viewer), 9000).error().message ==
        "token ci has the role viewer; this needs operator");
}

TEST_CASE("roles are read as they are printed") {
  for (const Role role : {Role::viewer, Role::operator_, Role::admin})
    CHECK(parse_role(to_string(role)) == role);
  CHECK(to_string(Role::operator_) == "operator");
  CHECK_FALSE(parse_role("Admin"));
  CHECK_FALSE(parse_role(""));
}

}  // namespace
}  // namespace sc::core
