// What the API of today does with streams: put, patch, move, disable, expire.

#include <limits>
#include <optional>
#include <utility>

#include "conductor_fixture.h"
#include "core/revision.h"
#include "support/catch.h"

namespace sc::test {
namespace {

using base::Errc;
using core::Conductor;
using core::StreamPatch;
using core::StreamState;
using Story = std::vector<std::string>;

struct PlanFixture : ConductorFixture {
  PlanFixture() {
    conductor.set_on_expiry_at([this](auto at) { expiry_at = at; });
  }

  base::Result<Conductor::Put> put(const core::StreamSpec& wanted, core::StreamCheck check = {}) {
    std::optional<base::Result<Conductor::Put>> answer;
    conductor.put(wanted, {"tester", "id-1"}, std::move(check),
                  [&](base::Result<Conductor::Put> done) { answer = std::move(done); });
    finish([&] { return answer.has_value(); });
    return std::move(*answer);
  }
  base::Result<core::Stream> patch(std::uint16_t port, const StreamPatch& change) {
    std::optional<base::Result<core::Stream>> answer;
    conductor.patch(port, change, {"tester", "id-1"}, {},
                    [&](base::Result<core::Stream> done) { answer = std::move(done); });
    finish([&] { return answer.has_value(); });
    return std::move(*answer);
  }
  template <class Done>
  void finish(Done done) {
    for (int i = 0; i < 8 && !done(); ++i) {
      store.answer_all();
      plane.finish_closing();
    }
    REQUIRE(done());
  }
  core::Stream shown(std::uint16_t port) { return conductor.view(port)->stream; }

  std::optional<base::WallTime> expiry_at;
};

core::StreamSpec labelled(std::uint16_t port, const std::string& label) {
  core::StreamSpec wanted = spec(port);
  wanted.label = label;
  return wanted;
}

TEST_CASE_METHOD(PlanFixture, "a put is a creation once and a change after, and nothing the same") {
  auto first = put(labelled(9000, "one"));
  REQUIRE(first);
  CHECK(first->is_new);
  CHECK(first->stream.revision == 1);
  auto second = put(labelled(9000, "two"));
  REQUIRE(second);
  CHECK_FALSE(second->is_new);
  CHECK(second->stream.revision == 2);
  auto third = put(labelled(9000, "two"));
  REQUIRE(third);
  CHECK(third->stream == second->stream);
  CHECK(store.story() == Story{"created 9000 by tester", "changed 9000 by tester"});
  CHECK(store.events.back().detail == "label");
  CHECK(store.events.back().actor.request_id == "id-1");
  CHECK(store.events.back().spec == labelled(9000, "two"));
  CHECK(plane.calls == Story{"activate 9000", "change 9000"});
}

TEST_CASE_METHOD(PlanFixture, "how durable a stream is changes as its time-outs do") {
  put(spec(9000)).has_value();
  StreamPatch change;
  change.durable = core::Durability::off;
  const auto changed = patch(9000, change);
  REQUIRE(changed);
  CHECK(changed->spec.durable == core::Durability::off);
  CHECK(changed->revision == 2);
  CHECK(store.events.back().detail == "durable");
  CHECK(plane.calls == Story{"activate 9000", "change 9000"});
  CHECK(plane.open.at(9000).durable == core::Durability::off);
}

TEST_CASE_METHOD(PlanFixture, "a check that says no changes nothing") {
  create_now(spec(9000));
  const auto refused = put(labelled(9000, "x"), [](const core::Stream* present) {
    REQUIRE(present != nullptr);
    return base::Result<void>(base::Error{Errc::precondition, "another revision"});
  });
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Errc::precondition);
  CHECK(store.rows.at(9000).spec == spec(9000));
}

TEST_CASE_METHOD(PlanFixture, "a port of another process is in use, and by whom is said") {
  plane.taken.insert(9001);
  const auto refused = put(spec(9001));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Errc::in_use);
  CHECK(refused.error().field == "/port");
  CHECK_THAT(refused.error().message, Catch::Contains("nginx (pid 812)"));
  CHECK(store.rows.empty());
}

TEST_CASE_METHOD(PlanFixture, "a patch changes what it names alone") {
  put(labelled(9000, "one")).has_value();
  StreamPatch change;
  change.note = "for the weekend";
  const auto patched = patch(9000, change);
  REQUIRE(patched);
  CHECK(patched->spec.label == "one");
  CHECK(patched->spec.note == "for the weekend");
  const auto missing = patch(9001, change);
  REQUIRE_FALSE(missing);
  CHECK(missing.error().code == Errc::not_found);
}

TEST_CASE_METHOD(PlanFixture, "a bad field is named") {
  core::StreamSpec wanted = spec(9000);
  wanted.connect_timeout = std::chrono::milliseconds{1};
  const auto refused = put(wanted);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Errc::invalid);
  CHECK(refused.error().field == "/connect_timeout");
}

TEST_CASE_METHOD(PlanFixture, "a row that was changed by hand is not written over") {
  create_now(spec(9000));
  store.rows.at(9000).spec.label = "by hand";
  const auto refused = put(labelled(9000, "mine"));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Errc::conflict);
  CHECK(conductor.find(9000)->spec == spec(9000));
  CHECK(plane.open.at(9000) == spec(9000));
}

TEST_CASE_METHOD(PlanFixture,
                 "a disabled stream's port is closed, its sessions drain, it opens again") {
  create_now(spec(9000));
  plane.carried[9000].sessions_active = 1;
  StreamPatch off;
  off.enabled = false;
  auto disabled = patch(9000, off);
  REQUIRE(disabled);
  CHECK(disabled->state == StreamState::disabled);
  CHECK_FALSE(plane.open.contains(9000));
  CHECK(shown(9000).state == StreamState::draining);
  plane.carried.clear();
  CHECK(shown(9000).state == StreamState::disabled);
  CHECK(store.rows.at(9000).state == StreamState::disabled);
  // As the original's API would ask for it.
  create_now(spec(9000));
  REQUIRE(created);
  CHECK(*created);
  CHECK(plane.open.contains(9000));
  CHECK(shown(9000).state == StreamState::listening);
}

TEST_CASE_METHOD(PlanFixture, "a stream that moves to another address keeps its sessions") {
  create_now(spec(9000));
  plane.calls.clear();
  StreamPatch move;
  move.listen_address = "127.0.0.1";
  REQUIRE(patch(9000, move));
  CHECK(plane.calls == Story{"release 9000", "activate 9000"});
  CHECK(plane.open.at(9000).listen_address == "127.0.0.1");
  plane.calls.clear();
  move.listen_address = FakeDataPlane::kForeignAddress;
  const auto refused = patch(9000, move);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().field == "/listen_address");
  CHECK(plane.calls.empty());
  plane.loses_address = true;
  const auto late = patch(9000, move);
  REQUIRE_FALSE(late);
  CHECK(late.error().field == "/listen_address");
  CHECK(plane.calls == Story{"release 9000", "activate 9000"});
  CHECK(plane.open.at(9000).listen_address == "127.0.0.1");
  CHECK(conductor.find(9000)->state == StreamState::listening);
}

TEST_CASE_METHOD(PlanFixture, "the same listen address in another spelling closes nothing") {
  core::StreamSpec wanted = spec(9000);
  wanted.listen_address = "::1";
  REQUIRE(put(wanted));
  plane.calls.clear();
  wanted.listen_address = "0:0::1";
  REQUIRE(put(wanted));
  CHECK(plane.calls == Story{"change 9000"});
  CHECK(conductor.find(9000)->spec.listen_address == "0:0::1");
}

TEST_CASE_METHOD(PlanFixture, "a stream whose move is not saved goes back to where it was") {
  create_now(spec(9000));
  store.failure = base::Error{Errc::unavailable, "the disk is full"};
  StreamPatch move;
  move.listen_address = "127.0.0.1";
  REQUIRE_FALSE(patch(9000, move));
  CHECK(plane.open.at(9000) == spec(9000));
}

TEST_CASE_METHOD(PlanFixture, "a failed stream can be changed, and stays failed") {
  plane.taken.insert(9000);
  boot({core::Stream{spec(9000)}});
  const auto changed = put(labelled(9000, "x"));
  REQUIRE(changed);
  CHECK(changed->stream.state == StreamState::failed);
  CHECK(store.rows.at(9000).spec.label == "x");
  CHECK(store.story() == Story{"failed 9000 by service", "changed 9000 by tester",
                               "failed 9000 by service"});  // as_of goes by the last event
  plane.taken.clear();
  CHECK(put(labelled(9000, "x"))->stream.state == StreamState::listening);
  CHECK(store.story().back() == "opened 9000 by tester");
}

TEST_CASE_METHOD(PlanFixture, "a stream ends when its time has come, and not when it was renewed") {
  core::StreamSpec wanted = spec(9000);
  wanted.expires_at = clock.wall() + std::chrono::minutes(5);
  REQUIRE(put(wanted));
  CHECK(expiry_at == wanted.expires_at);
  StreamPatch renewal;
  renewal.expires_at = clock.wall() + std::chrono::minutes(9);
  REQUIRE(patch(9000, renewal));
  CHECK(expiry_at == *renewal.expires_at);
  clock.advance(std::chrono::minutes(6));
  conductor.expire_due();
  store.answer_all();
  CHECK(conductor.find(9000) != nullptr);
  CHECK(expiry_at == *renewal.expires_at);
  clock.advance(std::chrono::minutes(3));
  conductor.expire_due();
  store.answer_all();
  plane.finish_closing();
  CHECK(conductor.find(9000) == nullptr);
  CHECK(store.rows.empty());
  CHECK(store.story().back() == "expired 9000 by service");
  CHECK_FALSE(expiry_at);
}

TEST_CASE_METHOD(PlanFixture, "an end that the store does not take comes again") {
  core::StreamSpec wanted = spec(9000);
  wanted.expires_at = clock.wall() + std::chrono::minutes(5);
  REQUIRE(put(wanted));
  clock.advance(std::chrono::minutes(5));
  store.failure = base::Error{Errc::unavailable, "the disk is full"};
  conductor.expire_due();
  store.answer_all();
  CHECK(conductor.find(9000) != nullptr);
  REQUIRE(expiry_at);
  CHECK(*expiry_at > clock.wall());
  store.failure.reset();
  clock.advance(std::chrono::minutes(1));
  conductor.expire_due();
  store.answer_all();
  plane.finish_closing();
  CHECK(conductor.find(9000) == nullptr);
}

TEST_CASE_METHOD(PlanFixture, "what expired while the service did not run is not opened") {
  core::Stream over;
  over.spec = spec(9000);
  over.spec.expires_at = clock.wall() - std::chrono::minutes(1);
  CHECK(boot({over}).expired == 1);
  CHECK(plane.open.empty());
  CHECK(store.rows.empty());
  CHECK(store.story() == Story{"expired 9000 by service"});
}

TEST_CASE_METHOD(PlanFixture, "a time that is over already is refused") {
  core::StreamSpec wanted = spec(9000);
  wanted.expires_at = clock.wall();
  const auto refused = put(wanted);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().field == "/expires_at");
}

TEST_CASE_METHOD(PlanFixture, "a port that is free is taken in one step, where the asker may") {
  create_now(spec(9000));
  plane.taken.insert(9001);
  std::optional<base::Result<Conductor::Put>> answer;
  const auto ask = [&](const core::PortCheck& may_change) {
    answer.reset();
    conductor.put_anywhere(spec(1, "any:1"), {"tester", {}}, may_change,
                           [&](base::Result<Conductor::Put> done) { answer = std::move(done); });
    store.answer_all();
  };
  ask({});
  REQUIRE(answer);
  REQUIRE(*answer);
  CHECK((*answer)->stream.spec.port == 9002);
  CHECK(plane.open.contains(9002));
  ask({});
  REQUIRE_FALSE(*answer);
  CHECK(answer->error().code == Errc::unavailable);
  plane.taken.clear();
  ask([](std::uint16_t) { return base::Result<void>(base::Error{Errc::forbidden, "no"}); });
  CHECK_FALSE(*answer);
}

TEST_CASE_METHOD(PlanFixture, "where every free port needs a privilege, the refusal says so") {
  plane.taken.insert(9000);
  plane.privileged = {9001, 9002};
  const auto ask = [&] {
    std::optional<base::Result<Conductor::Put>> answer;
    conductor.put_anywhere(spec(1), {"tester", {}}, {},
                           [&](base::Result<Conductor::Put> done) { answer = std::move(done); });
    finish([&] { return answer.has_value(); });
    return std::move(*answer);
  };
  const auto refused = ask();
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Errc::privilege);
  plane.privileged = {9001};
  CHECK(ask()->stream.spec.port == 9002);
}

TEST_CASE_METHOD(PlanFixture, "a revision stops at its most") {
  core::Stream row{spec(9000)};
  row.revision = std::numeric_limits<std::int64_t>::max();
  boot({row});
  CHECK(put(labelled(9000, "one"))->stream.revision == core::kMostRevision);
}

TEST_CASE_METHOD(PlanFixture, "one refusal names every wrong field, and changes nothing") {
  core::StreamSpec wrong = spec(8999, "224.0.0.1:80");
  wrong.listen_address = FakeDataPlane::kForeignAddress;
  wrong.label = std::string(65, 'x');
  wrong.owner = "a\nb";
  wrong.idle_timeout = std::chrono::milliseconds(1);
  wrong.expires_at = clock.wall() - std::chrono::seconds(1);
  const auto refused = put(wrong);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Errc::invalid);
  Story fields{refused.error().field};
  for (const base::WrongPart& part : refused.error().more) {
    fields.push_back(part.field);
    CHECK_FALSE(part.message.empty());
  }
  CHECK(fields == Story{"/label", "/owner", "/idle_timeout", "/backend", "/port", "/expires_at",
                        "/listen_address"});
  CHECK(plane.calls.empty());
  CHECK(store.rows.empty());
}

TEST_CASE_METHOD(PlanFixture, "a disabled stream that asks for any port opens none") {
  core::StreamSpec wanted = spec(1);
  wanted.enabled = false;
  std::optional<base::Result<Conductor::Put>> answer;
  conductor.put_anywhere(wanted, {"tester", {}}, {},
                         [&](base::Result<Conductor::Put> done) { answer = std::move(done); });
  finish([&] { return answer.has_value(); });
  REQUIRE(*answer);
  CHECK((**answer).stream.state == StreamState::disabled);
  CHECK(plane.open.empty());
}

TEST_CASE_METHOD(PlanFixture, "trouble of the former backend is not told of the new one") {
  create_now(spec(9000, "old:1"));
  conductor.put(spec(9000, "new:1"), {"tester", {}}, {}, [](auto) {});
  conductor.note_backend(9000, core::Reach::backend, "old refused");  // waits behind the change
  store.answer_all();
  CHECK(conductor.find(9000)->spec.backend.host == "new");
  CHECK(conductor.find(9000)->reason.empty());
}

TEST_CASE_METHOD(PlanFixture, "a stop while a change by hand is noted takes no row away") {
  core::Stream row;
  row.spec = spec(9001);
  store.rows.emplace(9001, row);
  conductor.reload({"SIGHUP", {}}, [](auto) {});
  store.answer_one();
  conductor.stop();
  store.answer_all();
  CHECK(store.rows.contains(9001));
}

TEST_CASE_METHOD(PlanFixture, "a drain refuses what comes, and what waits opens nothing any more") {
  create_now(spec(9000));
  std::optional<base::Result<Conductor::Put>> waiting;
  conductor.put(spec(9001), {"tester", {}}, {},
                [&](base::Result<Conductor::Put> done) { waiting = std::move(done); });
  conductor.drain();
  finish([&] { return waiting.has_value(); });
  REQUIRE_FALSE(*waiting);
  CHECK(waiting->error().code == base::Errc::unavailable);
  CHECK_FALSE(store.rows.contains(9001));
  StreamPatch change;
  change.note = "x";
  for (const base::Error& error :
       {put(spec(9002)).error(), put(labelled(9000, "x")).error(), patch(9000, change).error()}) {
    CHECK(error.code == base::Errc::unavailable);
    CHECK_THAT(error.message, Catch::Contains("draining"));
  }
  remove(9000);
  REQUIRE(removed);
  CHECK(removed->error().code == base::Errc::unavailable);
  CHECK(store.rows.contains(9000));
  CHECK(shown(9000).state == core::StreamState::draining);
  CHECK(conductor.find(9000)->state == core::StreamState::listening);
}

TEST_CASE_METHOD(PlanFixture, "a stream whose time comes in a drain goes all the same") {
  core::StreamSpec wanted = spec(9000);
  wanted.expires_at = clock.wall() + std::chrono::minutes(1);
  put(wanted).has_value();
  conductor.drain();
  clock.advance(std::chrono::minutes(1));
  conductor.expire_due();
  finish([&] { return conductor.find(9000) == nullptr; });
  CHECK_FALSE(store.rows.contains(9000));
  CHECK(store.story().back() == "expired 9000 by service");
}

TEST_CASE_METHOD(PlanFixture, "a removed stream is shown as draining while its sessions run") {
  create_now(spec(9000));
  plane.carried[9000].sessions_active = 2;
  conductor.remove(9000, {"tester", {}}, std::chrono::milliseconds{30'000}, {},
                   [this](base::Result<void> done) { removed = std::move(done); });
  store.answer_all();
  CHECK(plane.last_drain == std::chrono::milliseconds{30'000});
  plane.finish_closing();
  REQUIRE(removed);
  REQUIRE(conductor.views_from(1, 10).size() == 1);
  CHECK(shown(9000).state == StreamState::draining);
  CHECK(conductor.find(9000) == nullptr);
  plane.carried.clear();
  CHECK(conductor.views_from(1, 10).empty());
}

TEST_CASE_METHOD(PlanFixture, "streams are shown in parts, those that leave among them") {
  for (std::uint16_t port = 9000; port < 9003; ++port) create_now(spec(port));
  plane.carried[9001].sessions_active = 1;
  conductor.remove(9001, {"tester", {}}, std::chrono::milliseconds{30'000}, {},
                   [](const base::Result<void>&) {});
  store.answer_all();
  plane.finish_closing();
  const auto ports = [&](std::uint16_t from, std::size_t most) {
    std::vector<int> out;
    for (const core::StreamView& view : conductor.views_from(from, most))
      out.push_back(view.stream.spec.port);
    return out;
  };
  CHECK(ports(0, 2) == std::vector<int>{9000, 9001});
  CHECK(ports(9001, 2) == std::vector<int>{9001, 9002});
  CHECK(ports(9002, 9) == std::vector<int>{9002});
  CHECK(ports(9003, 9).empty());
  plane.carried.clear();  // it has gone
  CHECK(ports(0, 2) == std::vector<int>{9000, 9002});
}

TEST_CASE_METHOD(PlanFixture, "a create is answered once a worker accepts the stream's clients") {
  plane.accepts_late = true;
  std::optional<base::Result<Conductor::Put>> answer;
  conductor.put(spec(9000), {"tester", "id-1"}, {},
                [&](base::Result<Conductor::Put> done) { answer = std::move(done); });
  store.answer_all();
  CHECK(store.rows.contains(9000));
  CHECK_FALSE(answer);
  plane.answer_accepting({});
  REQUIRE(answer);
  CHECK(*answer);
}

TEST_CASE_METHOD(PlanFixture,
                 "a stream whose clients no worker accepts stays, and the create fails") {
  plane.accepts_late = true;
  std::optional<base::Result<Conductor::Put>> answer;
  conductor.put(spec(9000), {"tester", "id-1"}, {},
                [&](base::Result<Conductor::Put> done) { answer = std::move(done); });
  store.answer_all();
  plane.answer_accepting(base::Error{Errc::unavailable, "no worker"});
  REQUIRE(answer);
  CHECK(answer->error().code == Errc::unavailable);
  CHECK(store.rows.contains(9000));
  CHECK(shown(9000).state == StreamState::listening);
  plane.accepts_late = false;
  CHECK(put(labelled(9000, "x")));  // the port is not held
}

}  // namespace
}  // namespace sc::test
