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
      {"token", "make"},
      {"token", "revoke"},
      {"token", "create", "--name", "ci"},
      {"token", "create", "--role", "viewer"},
      {"token", "create", "--name", "c i", "--role", "viewer"},
      {"token", "create", "--name", "ci", "--role", "root"},
      {"token", "create", "--name", "ci", "--role", "operator", "--ports", "x"},
      {"token", "create", "--name", "ci", "--role", "viewer", "--ports", "9000"},
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

TEST_CASE("token create refuses ports for a viewer and names the role that takes them") {
  const Call call;
  const Finished refused =
      call.finished({"token", "create", "--name", "ci", "--role", "viewer", "--ports", "9000"});
  CHECK(refused.exit_code == kExitUsage);
  CHECK(contains(refused.err, "--ports: a viewer changes no stream"));
  CHECK(contains(refused.err, "--role operator"));
}

TEST_CASE("a group of commands alone prints its help") {
  const Call call;
  for (const std::string group : {"token", "database"}) {
    const Finished alone = call.finished({group});
    CHECK(alone.exit_code == kExitDone);
    CHECK(alone.err.empty());
    CHECK(alone.out == call.finished({group, "--help"}).out);
    CHECK(contains(alone.out, group == "token" ? "revoke" : "restore"));
    CHECK(call.finished({group, "nonsense"}).exit_code == kExitUsage);
  }
}

TEST_CASE("token list prints a table unless --json is given") {
  const Call call;
  CHECK_FALSE(std::get<ListTokens>(call.run({"token", "list"})).json);
  CHECK(std::get<ListTokens>(call.run({"token", "list", "--json"})).json);
}

}  // namespace
}  // namespace sc::config
