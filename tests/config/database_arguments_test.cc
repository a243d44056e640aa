#include "config/fixture.h"

namespace sc::config {
namespace {

TEST_CASE("database backup, restore and check take a file and the service's settings") {
  Call call;
  call.environment["STATE_DIRECTORY"] = "/there";
  const auto backup = std::get<BackUpDatabase>(call.run({"database", "backup", "b.db"}));
  CHECK(backup.file == "b.db");
  CHECK_FALSE(backup.replace);
  CHECK(backup.configuration.settings.state_directory == "/there");
  CHECK(std::get<BackUpDatabase>(call.run({"database", "backup", "--force", "b.db"})).replace);

  const auto restore = std::get<RestoreDatabase>(call.run({"database", "restore", "b.db"}));
  CHECK(restore.file == "b.db");
  CHECK_FALSE(restore.reload);
  CHECK(std::get<RestoreDatabase>(call.run({"database", "restore", "b.db", "--reload"})).reload);

  CHECK(std::get<CheckDatabase>(call.run({"database", "check"})).file.empty());
  CHECK(std::get<CheckDatabase>(call.run({"database", "check", "b.db"})).file == "b.db");
}

TEST_CASE("a database command that is incomplete or mixed with others is wrong usage") {
  const Call call;
  const std::vector<std::string> calls[] = {
      {"database", "copy"},
      {"database", "backup"},
      {"database", "backup", "-"},
      {"database", "backup", "a", "b"},
      {"database", "restore"},
      {"database", "restore", "--force", "a"},
      {"database", "check", "--reload"},
      {"database", "check", "--print-config"},
  };
  for (const auto& arguments : calls) {
    const Finished finished = call.finished(arguments);
    INFO(finished.err);
    CHECK(finished.exit_code == kExitUsage);
  }
}

}  // namespace
}  // namespace sc::config
