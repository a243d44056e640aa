#include "core/conductor.h"

#include "conductor_fixture.h"
#include "support/catch.h"

namespace sc::test {
namespace {

using base::Errc;
using core::StreamState;

TEST_CASE_METHOD(ConductorFixture, "create answers only once the row is stored, and accepts then") {
  create(spec(9000));
  CHECK_FALSE(created);
  CHECK(plane.prepared == 1);
  CHECK(plane.open.empty());
  CHECK(conductor.list().empty());

  store.answer_all();
  REQUIRE(created);
  REQUIRE(*created);
  CHECK((**created).spec == spec(9000));
  CHECK((**created).created_by == "tester");
  CHECK(plane.open.contains(9000));
  CHECK(store.rows.contains(9000));
  CHECK(store.story() == std::vector<std::string>{"created 9000 by tester"});
}

TEST_CASE_METHOD(ConductorFixture, "a port that is taken fails before anything is stored") {
  plane.taken.insert(9001);
  create(spec(9001));
  REQUIRE(created);
  REQUIRE_FALSE(*created);
  CHECK(created->error().code == Errc::in_use);
  CHECK(store.waiting() == 0);
  CHECK(conductor.list().empty());
}

TEST_CASE_METHOD(ConductorFixture, "a store that fails undoes the create") {
  store.failure = base::Error{Errc::unavailable, "the disk is full"};
  create(spec(9000));
  store.answer_all();
  REQUIRE(created);
  REQUIRE_FALSE(*created);
  CHECK(created->error().message.find("the disk is full") != std::string::npos);
  CHECK(plane.open.empty());
  CHECK(conductor.find(9000) == nullptr);

  store.failure.reset();
  create_now(spec(9000));
  CHECK(*created);
}

TEST_CASE_METHOD(ConductorFixture, "the same create again is ok and stores nothing new") {
  create_now(spec(9000));
  create_now(spec(9000));
  REQUIRE(created);
  CHECK(*created);
  CHECK(store.rows.size() == 1);
  CHECK(store.events.size() == 1);
  CHECK(plane.prepared == 1);
}

TEST_CASE_METHOD(ConductorFixture, "the same create again is ok however its backend is written") {
  create_now(spec(9000, "DB.Example:1"));
  create_now(spec(9001, "[2001:db8::1]:1"));
  for (const auto& [port, backend] :
       {std::pair(9000, "db.example.:1"), std::pair(9001, "[2001:DB8:0:0::1]:1")}) {
    create_now(spec(static_cast<std::uint16_t>(port), backend));
    CHECK(*created);
  }
  CHECK(conductor.find(9000)->spec.backend.host == "DB.Example");
  CHECK(plane.prepared == 2);
  create_now(spec(9000, "db.example:2"));
  CHECK_FALSE(*created);
}

TEST_CASE_METHOD(ConductorFixture, "the same create again brings back a row deleted by hand") {
  create_now(spec(9000));
  store.rows.clear();
  create_now(spec(9000));
  CHECK(*created);
  CHECK(store.rows.contains(9000));
}

TEST_CASE_METHOD(ConductorFixture, "the same create again is no success where the row says other") {
  create_now(spec(9000, "mine:1"));
  store.rows.at(9000).spec = spec(9000, "hand:1");
  create_now(spec(9000, "mine:1"));
  REQUIRE_FALSE(*created);
  CHECK(created->error().code == Errc::conflict);
  CHECK(store.rows.at(9000).spec.backend.host == "hand");
  CHECK(plane.open.at(9000).backend.host == "mine");
}

TEST_CASE_METHOD(ConductorFixture, "who opens a failed stream by creating it again is its actor") {
  plane.taken.insert(9000);
  core::Stream row;
  row.spec = spec(9000);
  boot({row});
  plane.taken.clear();
  create_now(spec(9000));
  CHECK(*created);
  CHECK(store.story().back() == "opened 9000 by tester");
}

TEST_CASE_METHOD(ConductorFixture,
                 "a row that is no stream is offered to nobody, and can be removed") {
  core::StoredStreams stored;
  stored.unreadable.push_back({"9000 -> nonsense", "no port", 9000});
  boot(stored);
  CHECK(*conductor.free_port() == 9001);
  remove(9001);
  REQUIRE(removed);
  CHECK_FALSE(*removed);
  remove(9000);
  store.answer_all();
  REQUIRE(removed);
  CHECK(*removed);
  CHECK(store.story().back() == "removed 9000 by tester");
  CHECK(*conductor.free_port() == 9000);
}

TEST_CASE_METHOD(ConductorFixture,
                 "another backend for a port is refused and names the present one") {
  create_now(spec(9000, "first:1"));
  create(spec(9000, "other:2"));
  REQUIRE(created);
  REQUIRE_FALSE(*created);
  CHECK(created->error().code == Errc::conflict);
  CHECK(created->error().message == "port 9000 has a stream to first:1 already");
  CHECK(conductor.find(9000)->spec.backend.host == "first");
  CHECK(plane.calls == std::vector<std::string>{"activate 9000"});
}

TEST_CASE_METHOD(ConductorFixture, "a port outside of the range is refused and names the range") {
  create(spec(9003));
  REQUIRE(created);
  REQUIRE_FALSE(*created);
  CHECK(created->error().code == Errc::invalid);
  CHECK(created->error().message.find("9000-9002") != std::string::npos);
}

TEST_CASE_METHOD(ConductorFixture,
                 "two creates of one port at once: the second waits and is judged then") {
  std::optional<base::Result<core::Stream>> same;
  std::optional<base::Result<core::Stream>> other;
  create(spec(9000, "a:1"));
  conductor.create(spec(9000, "a:1"), {"x", {}}, [&](auto done) { same = std::move(done); });
  conductor.create(spec(9000, "b:1"), {"x", {}}, [&](auto done) { other = std::move(done); });
  CHECK_FALSE(same);
  CHECK(store.waiting() == 1);

  store.answer_all();
  REQUIRE(created);
  CHECK(*created);
  REQUIRE(same);
  CHECK(*same);
  REQUIRE(other);
  CHECK_FALSE(*other);
  CHECK(plane.prepared == 1);
}

TEST_CASE_METHOD(ConductorFixture, "creates of different ports share no queue") {
  std::optional<base::Result<core::Stream>> second;
  create(spec(9000));
  conductor.create(spec(9001), {"x", {}}, [&](auto done) { second = std::move(done); });
  CHECK(store.waiting() == 2);
  store.answer_all();
  CHECK(*created);
  CHECK(*second);
}

TEST_CASE_METHOD(ConductorFixture,
                 "remove stops accepting, stores, closes, and answers once the port is free") {
  create_now(spec(9000));
  remove(9000);
  CHECK(plane.calls.back() == "pause 9000");
  CHECK(conductor.find(9000) != nullptr);
  CHECK_FALSE(removed);

  store.answer_all();
  CHECK(plane.calls.back() == "close 9000");
  CHECK(plane.last_drain == std::chrono::milliseconds{7000});
  CHECK(store.rows.empty());
  CHECK(conductor.find(9000) == nullptr);
  CHECK_FALSE(removed);

  plane.finish_closing();
  REQUIRE(removed);
  CHECK(*removed);
  CHECK(store.story().back() == "removed 9000 by tester");
  CHECK(store.events.back().backend_before == "backend:1");
  CHECK(store.events.back().backend_after.empty());
}

TEST_CASE_METHOD(ConductorFixture, "a removal that cannot be stored leaves the stream as it was") {
  create_now(spec(9000));
  store.failure = base::Error{Errc::unavailable, "the disk is full"};
  remove(9000);
  store.answer_all();
  REQUIRE(removed);
  CHECK_FALSE(*removed);
  CHECK(plane.calls.back() == "resume 9000");
  CHECK(conductor.find(9000) != nullptr);
}

TEST_CASE_METHOD(ConductorFixture, "what no stream has cannot be removed") {
  remove(9000);
  REQUIRE(removed);
  REQUIRE_FALSE(*removed);
  CHECK(removed->error().code == Errc::not_found);
}

TEST_CASE_METHOD(ConductorFixture,
                 "a create that comes while the port is being removed makes a new stream") {
  create_now(spec(9000, "old:1"));
  remove(9000);
  create(spec(9000, "new:1"));
  store.answer_all();
  CHECK_FALSE(created);
  plane.finish_closing();
  store.answer_all();
  REQUIRE(created);
  REQUIRE(*created);
  CHECK(plane.open.at(9000).backend.host == "new");
}

TEST_CASE_METHOD(ConductorFixture,
                 "free_port skips streams, ports under way and ports of other programs") {
  CHECK(*conductor.free_port() == 9000);
  create(spec(9000));
  CHECK(*conductor.free_port() == 9001);
  store.answer_all();
  CHECK(*conductor.free_port() == 9001);
  plane.taken.insert(9001);
  CHECK(*conductor.free_port() == 9002);
  plane.taken.insert(9002);
  const auto none = conductor.free_port();
  REQUIRE_FALSE(none);
  CHECK(none.error().code == Errc::unavailable);
}

TEST_CASE("the last port of a range that ends at 65535 is handed out") {
  ManualClock clock;
  FakeStore store;
  FakeDataPlane plane;
  plane.taken.insert(65534);
  core::Conductor conductor({*core::PortRanges::parse("65534-65535"), {}}, store, plane, clock);
  CHECK(*conductor.free_port() == 65535);
  plane.taken.insert(65535);
  CHECK_FALSE(conductor.free_port());
}

TEST_CASE_METHOD(ConductorFixture,
                 "trouble with the backend shows in the stream's reason until it is over") {
  create_now(spec(9000));
  conductor.note_backend(9000, core::Reach::backend, "the name does not resolve");
  store.answer_all();
  CHECK(conductor.find(9000)->reason == "the name does not resolve");
  CHECK(conductor.find(9000)->state == StreamState::listening);
  CHECK(store.rows.at(9000).reason == "the name does not resolve");
  conductor.note_backend(9000, core::Reach::reached, "");
  store.answer_all();
  CHECK(store.rows.at(9000).reason.empty());
}

TEST_CASE_METHOD(ConductorFixture,
                 "what the service finds out does not undo what somebody changed by hand") {
  create_now(spec(9000, "a:1"));
  create_now(spec(9001, "a:1"));
  store.rows.at(9000).spec = spec(9000, "by-hand:1");
  store.rows.erase(9001);
  conductor.note_backend(9000, core::Reach::backend, "refused");
  conductor.note_backend(9001, core::Reach::backend, "refused");
  store.answer_all();
  CHECK(store.rows.at(9000).spec.backend.host == "by-hand");
  CHECK_FALSE(store.rows.contains(9001));
}

TEST_CASE_METHOD(ConductorFixture,
                 "trouble told while a stream is being removed does not bring its row back") {
  create_now(spec(9000));
  remove(9000);
  conductor.note_backend(9000, core::Reach::backend, "refused");
  store.answer_all();
  plane.finish_closing();
  store.answer_all();
  CHECK(store.rows.empty());
}

TEST_CASE_METHOD(ConductorFixture, "a create that is being stored at a stop is no success") {
  create(spec(9000));
  conductor.stop();
  store.answer_all();
  REQUIRE(created);
  REQUIRE_FALSE(*created);
  CHECK((*created).error().code == base::Errc::unavailable);
  CHECK(plane.open.empty());
  CHECK(store.rows.empty());
  CHECK(store.story() ==
        std::vector<std::string>{"created 9000 by tester", "removed 9000 by service"});
}

TEST_CASE_METHOD(ConductorFixture,
                 "a create that a stop cannot undo says what the next start does") {
  create(spec(9000));
  conductor.stop();
  store.answer_one();
  store.failure = base::Error{Errc::unavailable, "the disk is full"};
  store.answer_all();
  REQUIRE_FALSE(*created);
  CHECK_THAT((*created).error().message, Catch::Contains("when the service starts again"));
  CHECK(store.rows.contains(9000));  // so it does
}

TEST_CASE_METHOD(ConductorFixture, "after a stop streams can be removed, not created") {
  create_now(spec(9000));
  conductor.stop();
  create_now(spec(9001));
  REQUIRE_FALSE(*created);
  CHECK((*created).error().code == base::Errc::unavailable);
  CHECK_FALSE(store.rows.contains(9001));
  remove(9000);
  store.answer_all();
  plane.finish_closing();
  CHECK(*removed);
  CHECK(store.rows.empty());
}

TEST_CASE_METHOD(ConductorFixture, "a failed stream is not opened while the service stops") {
  plane.taken.insert(9000);
  core::Stream row;
  row.spec = spec(9000);
  boot({row});
  plane.taken.clear();
  conductor.stop();
  clock.advance(std::chrono::seconds{5});
  conductor.retry_due();
  CHECK(plane.open.empty());
}

}  // namespace
}  // namespace sc::test
