#include <chrono>
#include <cstdint>

#include "core/end_reason.h"
#include "store/database.h"
#include "store/fixture.h"
#include "support/catch.h"

namespace sc::test {
namespace {

using namespace std::chrono_literals;

struct Open {
  TempFolder folder;
  std::string file = folder / "s.db";
  std::unique_ptr<store::Database> database = std::move(*store::Database::open(file));

  std::vector<std::string> rows() const { return query(file, "SELECT port FROM traffic"); }
};

core::SaveTraffic saved(std::uint16_t port, int since) {
  core::SaveTraffic save{
      port, minute(since), {minute(since), minute(since + 5), {"a boot", 70'000ms}, {}}};
  core::Traffic& traffic = save.stored.traffic;
  traffic.sessions_total = 100;
  traffic.bytes_in = 9'000'000'000'000'000'000;
  traffic.bytes_out = 8;
  for (std::size_t i = 0; i < traffic.ended.size(); ++i) traffic.ended.at(i) = i;
  return save;
}

TEST_CASE("what a stream has carried is loaded as it was saved") {
  Open open;
  core::Stream one = stream(9000, "a");
  one.created_at = minute(0);
  core::SaveTraffic save = saved(9000, 0);
  REQUIRE(commit(*open.database, {core::AddStream{one}, save}));
  CHECK(open.database->load()->traffic.at(9000) == save.stored);
  save.stored.traffic.bytes_out = 9;
  save.stored.saved_at = minute(6);
  REQUIRE(commit(*open.database, {save}));
  CHECK(open.database->load()->traffic ==
        std::map<std::uint16_t, core::StoredTraffic>{{9000, save.stored}});
}

TEST_CASE("a count that a column cannot hold is saved as the most that it can") {
  Open open;
  core::Stream one = stream(9000, "a");
  one.created_at = minute(0);
  core::SaveTraffic save = saved(9000, 0);
  save.stored.traffic.bytes_in = std::uint64_t{1} << 63;  // more was written by hand, and more came
  REQUIRE(commit(*open.database, {core::AddStream{one}, save}));
  save.stored.traffic.bytes_in -= 1;
  CHECK(open.database->load()->traffic.at(9000) == save.stored);
}

TEST_CASE("the table of traffic can be read by a person") {
  Open open;
  core::Stream one = stream(9000, "a");
  one.created_at = minute(0);
  REQUIRE(commit(*open.database, {core::AddStream{one}, saved(9000, 0)}));
  CHECK(query(open.file,
              "SELECT since, saved_at, boot_id, monotonic_ms, sessions, bytes_out, finished, "
              "backend_refused, \"limit\""
              " FROM traffic") ==
        std::vector<std::string>{
            "2026-11-01T14:00:00.000Z|2026-11-01T14:05:00.000Z|a boot|70000|100|8|0|4|12"});
}

TEST_CASE("what a stream has carried goes away with it, whoever removes it") {
  Open open;
  core::Stream one = stream(9000, "a");
  one.created_at = minute(0);
  REQUIRE(commit(*open.database, {core::AddStream{one}, saved(9000, 0)}));
  REQUIRE(open.rows().size() == 1);
  SECTION("the service") { REQUIRE(commit(*open.database, {core::EraseStream{9000}})); }
  SECTION("somebody") { execute(open.file, "DELETE FROM streams"); }
  CHECK(open.rows().empty());
}

TEST_CASE("traffic of a stream that is gone is not saved, and not taken for another one's") {
  Open open;
  CHECK(commit(*open.database, {saved(9000, 0)}));
  CHECK(open.rows().empty());
  core::Stream later = stream(9000, "a");
  later.created_at = minute(1);
  CHECK(commit(*open.database, {core::AddStream{later}, saved(9000, 0)}));
  CHECK(open.rows().empty());
  core::SaveTraffic earlier = saved(9000, 1);
  earlier.created_at = minute(0);  // and counted until after the later one was created
  CHECK(commit(*open.database, {earlier}));
  CHECK(open.rows().empty());
  CHECK(commit(*open.database, {saved(9000, 1)}));
  CHECK(open.database->load()->traffic.size() == 1);
  execute(open.file, "UPDATE streams SET created_at = '2026-11-01T14:02:00.000Z'");
  CHECK(open.database->load()->traffic.empty());
}

TEST_CASE("every reason of an end has its column, as the migrations name it") {
  Open open;
  for (std::size_t i = 0; i < core::kEndReasons; ++i) {
    const std::string name(core::to_string(static_cast<core::EndReason>(i)));
    CHECK(query(open.file, "SELECT name FROM pragma_table_info('traffic') WHERE name = '" + name +
                               "'") == std::vector<std::string>{name});
  }
}

}  // namespace
}  // namespace sc::test
