#include <optional>
#include <utility>

#include "conductor_fixture.h"
#include "support/catch.h"

namespace sc::test {
namespace {

using base::Errc;
using core::ApplyMode;
using core::ApplyReport;
using core::ApplyRequest;
using Story = std::vector<std::string>;

struct ApplyFixture : ConductorFixture {
  using Answer = std::optional<base::Result<ApplyReport>>;

  void start(ApplyRequest request, Answer& answer) {
    conductor.apply(std::move(request), {"tester", {}},
                    [&answer](base::Result<ApplyReport> done) { answer = std::move(done); });
  }
  base::Result<ApplyReport> apply(ApplyRequest request) {
    Answer answer;
    start(std::move(request), answer);
    finish(answer);
    return std::move(*answer);
  }
  void finish(Answer& answer) {
    for (int i = 0; i < 8 && !answer; ++i) {
      store.answer_all();
      plane.finish_closing();
    }
    REQUIRE(answer);
  }
};

ApplyRequest list(std::vector<core::StreamSpec> streams, ApplyMode mode = ApplyMode::merge) {
  ApplyRequest request;
  request.streams = std::move(streams);
  request.mode = mode;
  return request;
}

Story in_words(const ApplyReport& report) {
  Story out;
  for (const core::StreamChange& change : report.changes)
    out.push_back(std::string(core::to_string(change.action)) + " " +
                  std::to_string((change.after ? *change.after : *change.before).spec.port));
  return out;
}

TEST_CASE_METHOD(ApplyFixture, "a list is merged in one transaction") {
  create_now(spec(9000, "old:1"));
  create_now(spec(9001));
  const auto before = store.events.size();
  const auto done = apply(list({spec(9002), spec(9000, "new:1"), spec(9001)}));
  REQUIRE(done);
  CHECK(in_words(*done) == Story{"changed 9000", "created 9002"});
  CHECK(done->unchanged == 1);
  CHECK(store.events.size() == before + 2);
  CHECK(plane.open.at(9000) == spec(9000, "new:1"));
  CHECK(plane.open.contains(9002));
}

TEST_CASE_METHOD(ApplyFixture,
                 "one port that cannot be opened keeps all of the list from happening") {
  create_now(spec(9000, "old:1"));
  plane.taken.insert(9002);
  const auto refused = apply(list({spec(9000, "new:1"), spec(9001), spec(9002)}));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Errc::in_use);
  CHECK(refused.error().field == "/2/port");
  CHECK(plane.open.at(9000) == spec(9000, "old:1"));
  CHECK_FALSE(plane.open.contains(9001));
  CHECK(store.rows.size() == 1);
  create_now(spec(9001));  // nobody stands at the port still
  CHECK(created);
}

TEST_CASE_METHOD(ApplyFixture, "a store that fails keeps all of the list from happening") {
  create_now(spec(9000, "old:1"));
  store.failure = base::Error{Errc::unavailable, "the disk is full"};
  REQUIRE_FALSE(apply(list({spec(9001)}, ApplyMode::replace)));
  CHECK(plane.open.contains(9000));
  CHECK_FALSE(plane.open.contains(9001));
  CHECK(plane.calls == Story{"activate 9000", "pause 9000", "resume 9000"});
}

TEST_CASE_METHOD(ApplyFixture, "to replace removes what is not in the list") {
  create_now(spec(9000));
  create_now(spec(9001));
  const auto done = apply(list({spec(9001), spec(9002)}, ApplyMode::replace));
  REQUIRE(done);
  CHECK(in_words(*done) == Story{"removed 9000", "created 9002"});
  CHECK_FALSE(plane.open.contains(9000));
  CHECK(store.rows.size() == 2);
}

TEST_CASE_METHOD(ApplyFixture, "a dry run tries the ports and changes nothing") {
  create_now(spec(9000));
  const int before = plane.prepared;
  ApplyRequest request = list({spec(9001)}, ApplyMode::replace);
  request.dry_run = true;
  const auto done = apply(std::move(request));
  REQUIRE(done);
  CHECK(in_words(*done) == Story{"removed 9000", "created 9001"});
  CHECK(plane.prepared == before + 1);
  CHECK(store.rows.size() == 1);
  CHECK(plane.calls == Story{"activate 9000"});
  plane.taken.insert(9002);
  request = list({spec(9002)});
  request.dry_run = true;
  CHECK_FALSE(apply(std::move(request)));
}

TEST_CASE_METHOD(ApplyFixture,
                 "a port twice in a list, or one that is none of the asker's, is refused") {
  const auto twice = apply(list({spec(9000), spec(9000, "other:1")}));
  REQUIRE_FALSE(twice);
  CHECK(twice.error().field == "/1/port");
  ApplyRequest request = list({spec(9000)});
  request.may_change = [](std::uint16_t) {
    return base::Result<void>(base::Error{Errc::forbidden, "not yours"});
  };
  const auto foreign = apply(std::move(request));
  REQUIRE_FALSE(foreign);
  CHECK(foreign.error().code == Errc::forbidden);
  CHECK(store.rows.empty());
}

TEST_CASE_METHOD(ApplyFixture, "one refusal names the wrong fields of all streams of a list") {
  std::vector<core::StreamSpec> streams{spec(9000, "127.0.0.1:9000"), spec(8999), spec(9001)};
  streams[1].label = std::string(65, 'x');
  streams[2].listen_address = "ff02::1";
  const auto refused = apply(list(streams));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Errc::invalid);
  Story fields{refused.error().field};
  for (const base::WrongPart& part : refused.error().more) fields.push_back(part.field);
  CHECK(fields == Story{"/1/label", "/1/port", "/2/listen_address"});
  const auto ring = apply(list({streams[0], spec(9001)}));
  REQUIRE_FALSE(ring);
  CHECK(ring.error().code == Errc::loop);
  CHECK(ring.error().field == "/0/backend");
  CHECK(store.rows.empty());
}

TEST_CASE_METHOD(ApplyFixture, "a list that is wrong everywhere names twenty of its faults") {
  std::vector<core::StreamSpec> streams;
  for (std::uint16_t port = 1; port <= 100; ++port) streams.push_back(spec(port));
  const auto refused = apply(list(streams));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().more.size() + 1 == base::Faults::kMost);
}

TEST_CASE_METHOD(ApplyFixture, "two lists that want each other's ports come one after the other") {
  Answer one;
  Answer two;
  create(spec(9001));  // holds the port while both lists come
  start(list({spec(9000, "a:1"), spec(9001), spec(9002, "a:1")}), one);
  start(list({spec(9002, "b:1"), spec(9000, "b:1")}), two);
  CHECK_FALSE(one);
  finish(one);
  finish(two);
  CHECK(*one);
  CHECK(*two);
  CHECK(plane.open.at(9000) == spec(9000, "b:1"));
  CHECK(plane.open.at(9002) == spec(9002, "b:1"));
}

TEST_CASE_METHOD(ApplyFixture, "the streams of an hour ago come back") {
  create_now(spec(9000, "then:1"));
  core::StreamSpec brief = spec(9001);
  brief.expires_at = clock.wall() + std::chrono::minutes(30);
  create_now(brief);
  const base::WallTime then = clock.wall();
  clock.advance(std::chrono::hours(1));
  conductor.expire_due();
  remove(9000);
  store.answer_all();
  plane.finish_closing();
  store.answer_all();
  create_now(spec(9002));
  Answer answer;
  conductor.restore(then, {}, {"tester", {}},
                    [&](base::Result<ApplyReport> done) { answer = std::move(done); });
  finish(answer);
  REQUIRE(*answer);
  CHECK(in_words(**answer) == Story{"created 9000", "removed 9002"});
  REQUIRE((*answer)->skipped.size() == 1);
  CHECK((*answer)->skipped.front().port == 9001);
  CHECK(conductor.find(9000)->spec == spec(9000, "then:1"));
}

TEST_CASE_METHOD(ApplyFixture, "a dry run tries the address of a stream that would move") {
  create_now(spec(9000));
  ApplyRequest request = list({spec(9000)});
  request.streams.front().listen_address = FakeDataPlane::kForeignAddress;
  request.dry_run = true;
  const auto refused = apply(std::move(request));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().field == "/0/listen_address");
  CHECK(plane.calls == Story{"activate 9000"});
}

TEST_CASE_METHOD(ApplyFixture, "a dry run holds no port when the next one comes to it") {
  ApplyRequest request = list({spec(9000), spec(9001)});
  request.dry_run = true;
  Answer answer;
  create(spec(9001));  // the dry run waits for it
  start(std::move(request), answer);
  std::optional<base::Result<core::Stream>> next;
  conductor.create(spec(9000), {"x", {}}, [&](auto done) { next = std::move(done); });
  finish(answer);
  store.answer_all();
  CHECK(*answer);
  REQUIRE(next);
  CHECK(*next);
}

TEST_CASE_METHOD(ApplyFixture, "a stop leaves a list done whole or not at all") {
  create_now(spec(9000, "old:1"));
  Answer answer;
  SECTION("one that changes what was there stays for the next start") {
    start(list({spec(9000, "new:1"), spec(9001)}), answer);
    conductor.stop();
    finish(answer);
    REQUIRE_FALSE(*answer);
    CHECK_THAT(answer->error().message, Catch::Contains("when the service starts again"));
    CHECK(store.rows.at(9000).spec == spec(9000, "new:1"));
    CHECK(store.rows.contains(9001));
  }
  SECTION("one that only adds goes again") {
    start(list({spec(9001), spec(9002)}), answer);
    conductor.stop();
    finish(answer);
    REQUIRE_FALSE(*answer);
    CHECK(store.rows.size() == 1);
  }
}

TEST_CASE_METHOD(ApplyFixture, "a list that needs more descriptors than there are opens nothing") {
  plane.room = 1;
  const auto refused = apply(list({spec(9000), spec(9001)}));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Errc::unavailable);
  CHECK(plane.prepared == 0);
}

TEST_CASE_METHOD(ApplyFixture, "what was renewed since stays when its former time comes back") {
  core::StreamSpec brief = spec(9000);
  brief.expires_at = clock.wall() + std::chrono::minutes(30);
  create_now(brief);
  const base::WallTime then = clock.wall();
  core::StreamPatch renewal;
  renewal.expires_at = clock.wall() + std::chrono::hours(9);
  conductor.patch(9000, renewal, {"tester", {}}, {}, [](auto) {});
  store.answer_all();
  clock.advance(std::chrono::hours(1));
  Answer answer;
  conductor.restore(then, {}, {"tester", {}},
                    [&](base::Result<ApplyReport> done) { answer = std::move(done); });
  finish(answer);
  REQUIRE(*answer);
  CHECK((*answer)->changes.empty());
  CHECK(conductor.find(9000) != nullptr);
}

}  // namespace
}  // namespace sc::test
