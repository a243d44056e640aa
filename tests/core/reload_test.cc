#include "conductor_fixture.h"
#include "support/catch.h"

namespace sc::test {
namespace {

struct ReloadFixture : ConductorFixture {
  std::optional<base::Result<core::ReloadReport>> report;
  void reload() {
    report.reset();
    conductor.reload({"SIGHUP", {}}, [this](auto done) { report = std::move(done); });
    store.answer_all();
    plane.finish_closing();
    store.answer_all();
  }
};

TEST_CASE_METHOD(ReloadFixture, "a row that somebody added is opened and becomes history") {
  core::Stream row;
  row.spec = spec(9001);
  store.rows.emplace(9001, row);
  reload();
  CHECK((*report)->opened == 1);
  CHECK(plane.open.contains(9001));
  CHECK(store.story() == std::vector<std::string>{"created 9001 by SIGHUP"});
}

TEST_CASE_METHOD(ReloadFixture, "a row that somebody deleted closes its stream") {
  create_now(spec(9000));
  store.rows.clear();
  reload();
  CHECK((*report)->closed == 1);
  CHECK(plane.open.empty());
  CHECK(conductor.list().empty());
  CHECK(store.rows.empty());
  CHECK(store.story().back() == "removed 9000 by SIGHUP");
}

TEST_CASE_METHOD(ReloadFixture, "a row with another backend changes the stream in place") {
  create_now(spec(9000, "old:1"));
  store.rows.at(9000).spec = spec(9000, "new:2");
  reload();
  CHECK((*report)->changed == 1);
  CHECK(plane.calls.back() == "change 9000");
  CHECK(plane.open.at(9000).backend.host == "new");
  CHECK(conductor.find(9000)->revision == 2);
  CHECK(store.events.back().backend_before == "old:1");
  CHECK(store.events.back().backend_after == "new:2");
}

TEST_CASE_METHOD(ReloadFixture, "a reload of what runs already touches nothing") {
  create_now(spec(9000));
  const auto calls = plane.calls;
  reload();
  CHECK(plane.calls == calls);
  CHECK(store.events.size() == 1);
}

TEST_CASE_METHOD(ReloadFixture, "a row that was spoilt by hand leaves its stream running") {
  create_now(spec(9000));
  store.rows.clear();
  store.unreadable.push_back({"9000|nonsense", "no port", 9000});
  reload();
  CHECK(plane.open.contains(9000));
  CHECK(conductor.find(9000) != nullptr);
}

TEST_CASE_METHOD(ReloadFixture, "an added row whose port is taken becomes a failed stream") {
  plane.taken.insert(9001);
  core::Stream row;
  row.spec = spec(9001);
  store.rows.emplace(9001, row);
  reload();
  CHECK(conductor.find(9001)->state == core::StreamState::failed);
  CHECK(store.story() ==
        std::vector<std::string>{"created 9001 by SIGHUP", "failed 9001 by service"});
}

TEST_CASE_METHOD(ReloadFixture, "a store that cannot be read changes nothing") {
  create_now(spec(9000));
  store.failure = base::Error{base::Errc::unavailable, "I/O error"};
  reload();
  CHECK_FALSE(*report);
  CHECK(plane.open.contains(9000));
}

TEST_CASE_METHOD(ReloadFixture, "a create that is under way during a reload survives it") {
  create(spec(9000));
  conductor.reload({"SIGHUP", {}}, [this](auto done) { report = std::move(done); });
  std::optional<base::Result<core::Stream>> later;
  conductor.create(spec(9001), {"x", {}}, [&](auto done) { later = std::move(done); });
  store.answer_all();
  CHECK(plane.open.size() == 2);
  CHECK((*report)->closed == 0);
}

// A remove and a create that wait at the port while a reload decides about the stream before them.
TEST_CASE_METHOD(ReloadFixture,
                 "a stream created again behind a reload's back is not touched by it") {
  const bool changes = GENERATE(false, true);
  create_now(spec(9000, "old:1"));
  if (changes) {
    store.rows.at(9000).spec = spec(9000, "hand:1");
  } else {
    store.rows.erase(9000);
  }
  conductor.reload({"SIGHUP", {}}, [this](auto done) { report = std::move(done); });
  remove(9000);
  clock.advance(std::chrono::milliseconds{5});
  create(spec(9000, "new:2"));
  store.answer_all();
  plane.finish_closing();
  store.answer_all();
  REQUIRE(report);
  CHECK((changes ? (*report)->changed : (*report)->closed) == 1);
  REQUIRE(created);
  REQUIRE(*created);
  CHECK(plane.open.at(9000).backend.host == "new");
  CHECK(conductor.find(9000)->spec == spec(9000, "new:2"));
  CHECK(store.rows.at(9000).spec == spec(9000, "new:2"));
}

TEST_CASE_METHOD(ReloadFixture, "a row that was added by hand is not overwritten by a create") {
  core::Stream row;
  row.spec = spec(9001, "hand:1");
  store.rows.emplace(9001, row);
  create_now(spec(9001, "api:1"));
  REQUIRE_FALSE(*created);
  CHECK(created->error().code == base::Errc::conflict);
  CHECK(plane.open.empty());
  reload();
  CHECK(plane.open.at(9001).backend.host == "hand");
}

TEST_CASE_METHOD(ReloadFixture,
                 "the streams of another database take over its creation and counters") {
  create_now(spec(9000));
  create_now(spec(9001));
  core::StoredStreams other;
  core::Stream kept;
  kept.spec = spec(9000);
  kept.created_at = clock.wall() - std::chrono::hours(24);
  kept.created_by = "backup";
  kept.revision = 7;
  core::Stream opened = kept;
  opened.spec = spec(9002);
  other.streams = {kept, opened};
  other.traffic[9002].traffic.sessions_total = 41;
  store.rows = {{9000, kept}, {9002, opened}};
  const auto done = conductor.take_up(other, {"SIGHUP", {}});
  store.answer_all();
  plane.finish_closing();
  store.answer_all();
  CHECK(done.opened == 1);
  CHECK(done.closed == 1);
  CHECK(conductor.find(9001) == nullptr);
  CHECK(conductor.find(9000)->created_at == kept.created_at);
  CHECK(conductor.find(9000)->created_by == "backup");
  CHECK(conductor.find(9000)->revision == 7);
  CHECK(conductor.find(9000)->state == core::StreamState::listening);
  CHECK(plane.open.contains(9002));
  CHECK(plane.traffic(9002).sessions_total == 41);
}

}  // namespace
}  // namespace sc::test
