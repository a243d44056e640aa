#include "core/revision.h"
#include "store/database.h"
#include "store/fixture.h"
#include "support/catch.h"

namespace sc::test {
namespace {

using core::EventAction;
using store::Database;

struct Open {
  TempFolder folder;
  std::string file = folder / "s.db";
  std::unique_ptr<Database> database = std::move(*Database::open(file));
};

TEST_CASE("what was stored is loaded as it was, by port") {
  Open open;
  core::Stream failed = stream(65535, "2001:db8::1", 65535);
  failed.state = core::StreamState::failed;
  failed.reason = "bind: Address already in use (EADDRINUSE)";
  failed.created_at = minute(1) + std::chrono::milliseconds(7);
  failed.updated_at = base::WallTime{} - std::chrono::hours(24 * 365 * 100);  // before 1970
  failed.created_by = "näme; DROP TABLE streams";
  failed.revision = 9'000'000'000;
  const core::Stream plain = stream(1, "a.example");
  REQUIRE(commit(*open.database, {core::AddStream{failed}, core::AddStream{plain}}));
  const auto stored = open.database->load();
  REQUIRE(stored);
  CHECK(stored->streams == std::vector<core::Stream>{plain, failed});
  CHECK(stored->unreadable.empty());
}

TEST_CASE("a revision of a row by hand is clamped, and can still be counted up") {
  Open open;
  execute(open.file,
          "INSERT INTO streams (port, backend, revision)"
          " VALUES (9000, 'a:1', 9223372036854775807)");
  const auto stored = open.database->load();
  REQUIRE(stored);
  REQUIRE(stored->streams.size() == 1);
  CHECK(stored->streams[0].revision == core::kMostRevision);
}

TEST_CASE("a port that has a row takes no other, erasing takes it away") {
  Open open;
  const core::Stream one = stream(9000, "a");
  REQUIRE(commit(*open.database, {core::AddStream{one}}));
  const auto again =
      commit(*open.database, {event(1, EventAction::created, 9000, "", "b:1"),
                              core::AddStream{stream(9000, "b")}, core::EraseStream{9000}});
  REQUIRE_FALSE(again);
  CHECK(again.error().code == base::Errc::conflict);
  CHECK_THAT(again.error().message, Catch::Contains("9000"));
  CHECK(open.database->load()->streams == std::vector<core::Stream>{one});
  CHECK(query(open.file, "SELECT count(*) FROM stream_events") == std::vector<std::string>{"0"});
  REQUIRE(commit(*open.database, {core::EraseStream{9000}, core::EraseStream{9001}}));
  CHECK(open.database->load()->streams.empty());
}

TEST_CASE("adding a row that is there already, to the same backend, changes nothing") {
  Open open;
  const core::Stream one = stream(9000, "a");
  core::Stream again = one;
  again.created_by = "somebody else";
  REQUIRE(commit(*open.database, {core::AddStream{one}}));
  CHECK(commit(*open.database, {core::AddStream{again}}));
  CHECK(open.database->load()->streams == std::vector<core::Stream>{one});
}

TEST_CASE("a port whose row is no stream takes no other until it is erased") {
  Open open;
  execute(open.file, "INSERT INTO streams (port, backend) VALUES (9000, 'bad')");
  const auto refused = commit(*open.database, {core::AddStream{stream(9000, "a")}});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == base::Errc::conflict);
  CHECK_THAT(refused.error().message, Catch::Contains("no stream"));
  CHECK(commit(*open.database, {core::EraseStream{9000}, core::AddStream{stream(9000, "a")}}));
}

TEST_CASE("what was loaded says where history left each port") {
  Open open;
  REQUIRE(commit(*open.database, {event(0, EventAction::created, 9000, "", "a:1"),
                                  event(1, EventAction::changed, 9000, "a:1", "b:1"),
                                  event(2, EventAction::created, 9001, "", "c:1"),
                                  event(3, EventAction::removed, 9001, "c:1", ""),
                                  event(4, EventAction::created, 9002, "", "d:1"),
                                  event(5, EventAction::failed, 9002, "d:1", "d:1")}));
  CHECK(open.database->load()->recorded == std::map<std::uint16_t, core::RecordedStream>{
                                               {9000, {*core::make_spec("9000", "b:1"), false}},
                                               {9002, {*core::make_spec("9002", "d:1"), true}}});
}

TEST_CASE("a note updates what the service finds out, and nothing that a person wrote") {
  Open open;
  core::Stream one = stream(9000, "a");
  REQUIRE(commit(*open.database, {core::AddStream{one}}));
  core::Stream noted = one;
  noted.state = core::StreamState::failed;
  noted.reason = "taken";
  noted.updated_at = minute(5);
  noted.revision = 3;
  noted.created_by = "somebody else";
  noted.created_at = minute(9);
  REQUIRE(commit(*open.database, {core::NoteStream{noted}}));
  noted.created_by = one.created_by;
  noted.created_at = one.created_at;
  CHECK(open.database->load()->streams == std::vector<core::Stream>{noted});
}

TEST_CASE("a note for a row that leads elsewhere, or is gone, changes nothing") {
  Open open;
  const core::Stream elsewhere = stream(9000, "by-hand");
  REQUIRE(commit(*open.database, {core::AddStream{elsewhere}}));
  core::Stream noted = stream(9000, "a");
  noted.reason = "taken";
  REQUIRE(commit(*open.database, {core::NoteStream{noted}, core::NoteStream{stream(9001, "a")}}));
  CHECK(open.database->load()->streams == std::vector<core::Stream>{elsewhere});
}

TEST_CASE("empty texts of an event are stored as NULL") {
  Open open;
  REQUIRE(commit(*open.database, {event(0, EventAction::created, 9000, "", "a:1", "", "")}));
  CHECK(query(open.file,
              "SELECT at, action, port, actor IS NULL, backend_before IS NULL,"
              " backend_after, detail IS NULL FROM stream_events") ==
        std::vector<std::string>{"2026-11-01T14:00:00.000Z|created|9000|1|1|a:1|1"});
}

TEST_CASE("a row written by hand with port and backend alone is a stream") {
  Open open;
  execute(open.file, "INSERT INTO streams(port, backend) VALUES (9005, 'x:1')");
  const auto stored = open.database->load();
  REQUIRE(stored);
  REQUIRE(stored->streams.size() == 1);
  const core::Stream& row = stored->streams.front();
  CHECK(row.spec == core::StreamSpec{9005, {"x", 1}});
  CHECK(row.state == core::StreamState::listening);
  CHECK(row.created_by == "sqlite3");
  CHECK(row.revision == 1);
  CHECK(row.created_at > minute(0) - std::chrono::hours(24 * 365 * 20));
}

TEST_CASE("rows written by hand that are no streams are told apart from those that are") {
  Open open;
  execute(open.file,
          "INSERT INTO streams(port, backend) VALUES (9001, 'no port here'), (9002, 'good:2');"
          "INSERT INTO streams(port, backend, created_at)"
          " VALUES (9003, 'x:1', '2026-13-31T14:03:00.000Z')");
  const auto stored = open.database->load();
  REQUIRE(stored);
  REQUIRE(stored->streams.size() == 1);
  CHECK(stored->streams.front().spec.port == 9002);
  REQUIRE(stored->unreadable.size() == 2);
  CHECK_THAT(stored->unreadable[0].row, Catch::Contains("9001 -> \"no port here\""));
  CHECK(stored->unreadable[0].port == 9001);
  CHECK_THAT(stored->unreadable[0].why, Catch::Contains("no port here"));
  CHECK_THAT(stored->unreadable[1].why, Catch::Contains("its times"));
}

TEST_CASE("the tables refuse by themselves what cannot be right") {
  Open open;
  const std::string insert =
      GENERATE(as<std::string>{}, "(port, backend) VALUES (0, 'x:1')",
               "(port, backend) VALUES (65536, 'x:1')", "(port, backend) VALUES (9000, '')",
               "(port, backend) VALUES ('nine', 'x:1')",
               "(port, backend, state) VALUES (9000, 'x:1', 'gone')",
               "(port, backend, revision) VALUES (9000, 'x:1', 0)",
               "(port, backend, created_at) VALUES (9000, 'x:1', 'today')");
  CHECK_THROWS(execute(open.file, "INSERT INTO streams" + insert));
}

TEST_CASE("history is append-only, for everybody") {
  Open open;
  REQUIRE(commit(*open.database, created(9000)));
  const std::string tampering = GENERATE(
      as<std::string>{}, "UPDATE stream_events SET actor = 'me'", "DELETE FROM stream_events",
      "INSERT OR REPLACE INTO stream_events (id, at, action, port)"
      " VALUES (1, '2026-11-01T14:00:00.000Z', 'removed', 9000)");
  CHECK_THROWS_WITH(execute(open.file, tampering), Catch::Contains("stream_events is append-only"));
  CHECK(query(open.file, "SELECT id, action, actor FROM stream_events") ==
        std::vector<std::string>{"1|created|10.0.0.1"});
}

TEST_CASE("writes of a commit that fails leave no trace") {
  Open open;
  const auto failed =
      commit(*open.database, {core::AddStream{stream(9000, "a")}, core::AddStream{stream(0, "b")}});
  REQUIRE(!failed);
  CHECK(failed.error().code == base::Errc::internal);
  CHECK_THAT(failed.error().message,
             Catch::Contains("the database does not accept the row") && Catch::Contains("CHECK"));
  CHECK(open.database->load()->streams.empty());
}

TEST_CASE("a table that somebody dropped is an error, not the end") {
  Open open;
  execute(open.file, "DROP TABLE streams");
  CHECK_FALSE(open.database->load());
  CHECK_FALSE(commit(*open.database, created(9000)));
  open.database.reset();
  const auto again = Database::open(open.file);
  CHECK_FALSE((again && (*again)->load()));
}

}  // namespace
}  // namespace sc::test
