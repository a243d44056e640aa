#include "core/ring.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "conductor_fixture.h"
#include "support/catch.h"

namespace sc::test {
namespace {

using base::Errc;
using core::Ring;

std::string own(std::uint16_t port) { return "127.0.0.1:" + std::to_string(port); }

core::Stream stored(std::uint16_t port, const std::string& backend) {
  core::Stream stream;
  stream.spec = spec(port, backend);
  return stream;
}

core::StreamMap streams(const std::vector<core::Stream>& list) {
  core::StreamMap map;
  for (const core::Stream& stream : list) map.emplace(stream.spec.port, stream);
  return map;
}

TEST_CASE("each ring is found once, from wherever the walk begins") {
  const FakeDataPlane plane;
  CHECK(core::rings_of({}, plane).empty());
  CHECK(core::rings_of(
            streams({stored(9000, own(9001)), stored(9001, own(9002)), stored(9002, "db:5432")}),
            plane)
            .empty());
  CHECK(core::rings_of(
            streams({stored(9000, own(9002)), stored(9001, own(9001)), stored(9002, own(9003)),
                     stored(9003, own(9002)), stored(9004, own(9001))}),
            plane) == std::vector<Ring>{{9002, 9003, 9002}, {9001, 9001}});
}

TEST_CASE("a name, another host and a disabled stream make no ring") {
  const FakeDataPlane plane;
  for (const char* backend : {"localhost:9000", "10.1.2.3:9000", "127.0.0.1:9009"})
    CHECK(core::rings_of(streams({stored(9000, backend)}), plane).empty());
  core::Stream disabled = stored(9001, own(9000));
  disabled.spec.enabled = false;
  CHECK(core::rings_of(streams({stored(9000, own(9001)), disabled}), plane).empty());
}

TEST_CASE("a stream that only forwards into a ring of others closes none") {
  const FakeDataPlane plane;
  const core::StreamMap map = streams({stored(9001, own(9002)), stored(9002, own(9001))});
  const core::FindSpec find = [&](std::uint16_t port) {
    const auto found = map.find(port);
    return found == map.end() ? nullptr : &found->second.spec;
  };
  CHECK(core::ring_of(spec(9000, own(9001)), find, plane).empty());
  CHECK(core::ring_of(spec(9001, own(9002)), find, plane) == Ring{9001, 9002, 9001});
}

TEST_CASE_METHOD(ConductorFixture, "a stream to its own port is refused and leaves nothing") {
  create(spec(9000, own(9000)));
  REQUIRE(created);
  REQUIRE_FALSE(*created);
  CHECK(created->error().code == Errc::loop);
  CHECK(created->error().field == "/backend");
  CHECK_THAT(created->error().message, Catch::EndsWith(": 9000 -> 9000"));
  CHECK(plane.prepared == 0);
  CHECK(conductor.list().empty());
}

TEST_CASE_METHOD(ConductorFixture, "the stream that closes a longer ring is refused") {
  create_now(spec(9000, own(9001)));
  create_now(spec(9001, own(9002)));
  create(spec(9002, own(9000)));
  REQUIRE(created);
  REQUIRE_FALSE(*created);
  CHECK_THAT(created->error().message, Catch::EndsWith(": 9002 -> 9000 -> 9001 -> 9002"));
}

TEST_CASE_METHOD(ConductorFixture, "a stream in a ring may change what does not concern the ring") {
  boot({stored(9000, own(9000))});
  std::optional<base::Result<core::Stream>> done;
  const auto patch = [&](const core::StreamPatch& change) {
    done.reset();
    conductor.patch(9000, change, {"tester", {}}, {},
                    [&](base::Result<core::Stream> answer) { done = std::move(answer); });
    store.answer_all();
    plane.finish_closing();
    store.answer_all();
    REQUIRE(done);
  };
  core::StreamPatch label;
  label.label = "new";
  patch(label);
  CHECK(*done);
  core::StreamPatch off;
  off.enabled = false;
  patch(off);
  CHECK(*done);
  core::StreamPatch on;
  on.enabled = true;
  patch(on);
  REQUIRE_FALSE(*done);
  CHECK(done->error().code == Errc::loop);
}

TEST_CASE_METHOD(ConductorFixture, "a list is judged by the streams as they are after it") {
  create_now(spec(9000, own(9001)));
  const auto apply = [&](std::vector<core::StreamSpec> list, core::ApplyMode mode) {
    core::ApplyRequest request;
    request.streams = std::move(list);
    request.mode = mode;
    std::optional<base::Result<core::ApplyReport>> answer;
    conductor.apply(std::move(request), {"tester", {}},
                    [&](base::Result<core::ApplyReport> done) { answer = std::move(done); });
    for (int i = 0; i < 8 && !answer; ++i) {
      store.answer_all();
      plane.finish_closing();
    }
    REQUIRE(answer);
    return std::move(*answer);
  };
  const auto refused = apply({spec(9002), spec(9001, own(9000))}, core::ApplyMode::merge);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Errc::loop);
  CHECK(refused.error().field == "/1/backend");
  CHECK(apply({spec(9001, own(9000))}, core::ApplyMode::replace));  // without 9000
  CHECK(apply({spec(9000, own(9001)), spec(9001)}, core::ApplyMode::merge));
}

TEST_CASE_METHOD(ConductorFixture, "a port is found at which the stream makes no ring") {
  create_now(spec(9000));
  std::optional<base::Result<core::Conductor::Put>> put;
  conductor.put_anywhere(spec(1, own(9001)), {"tester", {}}, {},
                         [&](base::Result<core::Conductor::Put> done) { put = std::move(done); });
  store.answer_all();
  REQUIRE(put);
  REQUIRE(*put);
  CHECK((*put)->stream.spec.port == 9002);
}

}  // namespace
}  // namespace sc::test
