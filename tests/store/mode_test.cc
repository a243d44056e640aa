// The mode of the database's files is changed while the service has them open.
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <string>

#include "store/fixture.h"
#include "store/sqlite_store.h"
#include "support/catch.h"

namespace sc::test {
namespace {

using base::Result;
using store::SqliteStore;

constexpr uid_t kService = 65534;

void set_mode(const std::string& file, mode_t mode) {
  for (const char* suffix : {"", "-wal", "-shm"}) ::chmod((file + suffix).c_str(), mode);
}

std::string words(const Result<void>& saved) { return saved ? "saved" : saved.error().message; }

std::string events(SqliteStore& store, ControlThread& control) {
  std::string answer;
  store.history({}, [&](Result<core::HistoryPage> page) {
    answer = page ? std::to_string(page->events.size()) + " events" : page.error().message;
  });
  control.run_until([&] { return !answer.empty(); });
  return answer;
}

// As the user of the service, whom modes bind.
std::string with_mode_changed(const std::string& file, mode_t mode) {
  ControlThread control;
  auto store = SqliteStore::open(file, control.post());
  if (!store) return store.error().message;
  std::string seen = words((*store)->commit_now(created(9000)));
  seen += ", " + events(**store, control);
  set_mode(file, mode);
  seen += ", " + words((*store)->commit_now(created(9001)));
  seen += ", " + events(**store, control);
  std::string reopened;
  (*store)->reopen([&](Result<bool> done) {
    reopened = !done ? done.error().message : *done ? "another one" : "the same one";
  });
  control.run_until([&] { return !reopened.empty(); });
  return seen + ", " + reopened;
}

std::string started_with_mode(const std::string& file, mode_t mode) {
  set_mode(file, mode);
  ControlThread control;
  auto store = SqliteStore::open(file, control.post());
  if (!store) return "refused: " + store.error().message;
  std::optional<base::Error> trouble;
  bool is_known = false;
  (*store)->set_on_trouble([&](const auto& now) {
    trouble = now;
    is_known = true;
  });
  if (!is_known) return "no trouble";
  std::string seen = trouble->message + ", " + events(**store, control);
  set_mode(file, 0640);
  control.run_until([&] { return !trouble; });
  return seen + ", " + words((*store)->commit_now(created(9002)));
}

struct Modes {
  Modes() {
    REQUIRE(::getuid() == 0);  // to become another user
    std::filesystem::create_directory(folder.path() / "state");
    REQUIRE(::chown((folder / "state").c_str(), kService, kService) == 0);
  }
  const TempFolder folder;
  const std::string file = folder / "state/s.db";
};

TEST_CASE_METHOD(Modes, "a changed mode of the files does not concern a service that has them open",
                 "[root-mode]") {
  const mode_t mode = GENERATE(as<mode_t>{}, 0400, 0000);
  CHECK(in_child([&] { return with_mode_changed(file, mode); }, kService, kService) ==
        "saved, 1 events, saved, 2 events, the same one");
  set_mode(file, 0640);
  CHECK(query(file, "SELECT port FROM streams ORDER BY port") ==
        std::vector<std::string>{"9000", "9001"});
}

TEST_CASE_METHOD(Modes, "files that a start may only read are written once their mode allows it",
                 "[root-mode]") {
  REQUIRE(in_child([&] { return with_mode_changed(file, 0640); }, kService, kService)
              .ends_with("the same one"));
  CHECK_THAT(in_child([&] { return started_with_mode(file, 0400); }, kService, kService),
             Catch::Contains("is not writable") && Catch::EndsWith(", 2 events, saved"));
}

TEST_CASE_METHOD(Modes, "a start is refused while it may not read the files", "[root-mode]") {
  REQUIRE(in_child([&] { return with_mode_changed(file, 0640); }, kService, kService)
              .ends_with("the same one"));
  CHECK_THAT(in_child([&] { return started_with_mode(file, 0000); }, kService, kService),
             Catch::StartsWith("refused: ") && Catch::Contains("EACCES"));
}

}  // namespace
}  // namespace sc::test
