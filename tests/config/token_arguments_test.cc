#include "config/fixture.h"

namespace sc::config {
namespace {

TEST_CASE("token create takes a name, a role, and what narrows it") {
  const Call call;
  const auto asked = std::get<CreateToken>(
      call.run({"token", "create", "--name", "ci", "--role", "operator", "--ports", "9000-9004",
                "--expires", "90d", "--state-directory", "/x"}));
  CHECK(asked.name == "ci");
  CHECK(asked.role == core::Role::operator_);
  CHECK(asked.ports->to_string() == "9000-9004");
  CHECK(asked.lasts == std::chrono::hours(24 * 90));
  CHECK(asked.configuration.settings.state_directory == "/x");

  const auto plain =
      std::get<CreateToken>(call.run({"token", "create", "--name=ci", "--role=admin"}));
  CHECK_FALSE(plain.ports);
  CHECK_FALSE(plain.lasts);
}

TEST_CASE("token list and revoke take the settings from where the service does") {
  Call call;
  call.environment["STATE_DIRECTORY"] = "/there";
  CHECK(std::get<ListTokens>(call.run({"token", "list"})).configuration.settings.state_directory ==
        "/there");
  const auto revoke = std::get<RevokeToken>(call.run({"token", "revoke", "ci"}));
  CHECK(revoke.name == "ci");
  CHECK(revoke.configuration.settings.state_directory == "/there");
}

TEST_CASE("a token that cannot be is wrong usage, and what is allowed is said") {
  const Call call;
  const std::vector<std::string> calls[] = {
      {"token"},
      {"token", "make"},
      {"token", "revoke"},
      {"token", "create", "--name", "ci"},
      {"token", "create", "--role", "viewer"},
      {"token", "create", "--name", "c i", "--role", "viewer"},
      {"token", "create", "--name", "ci", "--role", "root"},
      {"token", "create", "--name", "ci", "--role", "viewer", "--ports", "x"},
      {"token", "create", "--name", "ci", "--role", "admin", "--ports", "9000"},
      {"token", "create", "--name", "ci", "--role", "viewer", "--expires", "30s"},
      {"token", "create", "--name", "ci", "--role", "viewer", "--expires", "soon"},
      {"token", "list", "--check"},
  };
  for (const auto& arguments : calls) {
    const Finished finished = call.finished(arguments);
    INFO(finished.err);
    CHECK(finished.exit_code == kExitUsage);
  }
  CHECK(contains(call.finished({"token", "create", "--name", "ci", "--role", "root"}).err,
                 "allowed: viewer, operator, admin"));
}

}  // namespace
}  // namespace sc::config
