#include "core/waits.h"

#include "conductor_fixture.h"
#include "support/catch.h"

namespace sc::test {
namespace {

using base::Errc;
using core::Waits;
using std::chrono::milliseconds;
using Created = std::optional<base::Result<core::Stream>>;

TEST_CASE_METHOD(ConductorFixture,
                 "a create that the database does not answer is answered, and settled later") {
  create(spec(9000));
  clock.advance(Waits::kPatience - milliseconds{1});
  conductor.end_overdue();
  CHECK_FALSE(created);
  clock.advance(milliseconds{1});
  conductor.end_overdue();
  REQUIRE(created);
  REQUIRE_FALSE(*created);
  CHECK(created->error().code == Errc::unavailable);
  CHECK(created->error().message.find("not known yet whether the change is written") !=
        std::string::npos);
  CHECK(conductor.find(9000) == nullptr);
  CHECK(conductor.waiting() == 0);

  SECTION("the stream appears if the database writes it after all") {
    store.answer_all();
    CHECK(conductor.find(9000) != nullptr);
    CHECK(plane.open.contains(9000));
    CHECK(store.rows.contains(9000));
  }
  SECTION("nothing is left if the database refuses it after all") {
    store.failure = base::Error{Errc::unavailable, "the disk is full"};
    store.answer_all();
    CHECK(conductor.find(9000) == nullptr);
    CHECK(plane.open.empty());
    CHECK(store.rows.empty());
  }
  CHECK_FALSE(*created);  // it is not answered twice
}

TEST_CASE_METHOD(
    ConductorFixture,
    "a change that waits behind another one of its port too long is never carried out") {
  create(spec(9000));
  clock.advance(milliseconds{1});
  std::optional<base::Result<void>> second;
  conductor.remove(9000, {"x", {}}, std::nullopt, {}, [&](auto done) { second = std::move(done); });
  clock.advance(Waits::kPatience);
  conductor.end_overdue();
  REQUIRE(second);
  REQUIRE_FALSE(*second);
  CHECK(second->error().code == Errc::unavailable);
  CHECK(second->error().message.find("nothing was changed") != std::string::npos);
  store.answer_all();
  CHECK(conductor.find(9000) != nullptr);
  CHECK(store.rows.contains(9000));
}

TEST_CASE_METHOD(ConductorFixture, "a list that waits for a port too long is never applied") {
  create(spec(9000));
  core::ApplyRequest request;
  request.streams = {spec(9000, "other:1"), spec(9001)};
  std::optional<base::Result<core::ApplyReport>> applied;
  conductor.apply(std::move(request), {"x", {}}, [&](auto done) { applied = std::move(done); });
  clock.advance(Waits::kPatience);
  conductor.end_overdue();
  REQUIRE(applied);
  CHECK_FALSE(*applied);
  store.answer_all();
  CHECK(conductor.find(9000)->spec.backend.host == "backend");
  CHECK(conductor.find(9001) == nullptr);
  create_now(spec(9002));  // ports and lists are free again
  CHECK(*created);
}

TEST_CASE_METHOD(ConductorFixture, "a restore whose history does not come is answered in time") {
  std::optional<base::Result<core::ApplyReport>> restored;
  conductor.restore(clock.wall(), {}, {"x", {}}, [&](auto done) { restored = std::move(done); });
  clock.advance(Waits::kPatience);
  conductor.end_overdue();
  REQUIRE(restored);
  CHECK_FALSE(*restored);
  store.answer_all();
}

TEST_CASE_METHOD(ConductorFixture, "while changes hang, a limited number of them waits") {
  std::size_t refused = 0;
  const auto ask = [&] {
    conductor.create(spec(9000), {"x", {}}, [&](auto done) {
      if (!done && done.error().message.find("wait for the database already") != std::string::npos)
        ++refused;
    });
  };
  for (std::size_t i = 0; i < Waits::kMostWhileStalled; ++i) ask();
  CHECK(conductor.waiting() == Waits::kMostWhileStalled);
  ask();  // a burst is no reason to refuse
  CHECK(refused == 0);
  clock.advance(Waits::kStalled);
  ask();
  CHECK(refused == 1);
  store.answer_all();
  CHECK(conductor.waiting() == 0);
  ask();
  CHECK(refused == 1);
}

TEST_CASE_METHOD(ConductorFixture, "the first caller that waits is announced") {
  int announced = 0;
  conductor.set_on_first_wait([&] { ++announced; });
  create(spec(9000));
  CHECK(announced == 1);
  conductor.create(spec(9001), {"x", {}}, [](const auto&) {});
  CHECK(announced == 1);
  store.answer_all();
  create(spec(9002));
  CHECK(announced == 2);
  store.answer_all();
}

}  // namespace
}  // namespace sc::test
