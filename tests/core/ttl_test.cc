// Streams that end when a time has passed: the host's clock may be set meanwhile.

#include <optional>

#include "conductor_fixture.h"
#include "support/catch.h"

namespace sc::test {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr hours kTtl{1};

struct TtlFixture : ConductorFixture {
  TtlFixture() {
    conductor.set_on_expiry_at([this](auto at) { expiry_at = at; });
  }

  void put(const core::StreamSpec& wanted) {
    bool is_done = false;
    conductor.put(wanted, {"tester", "id-1"}, {},
                  [&](const base::Result<core::Conductor::Put>& done) {
                    REQUIRE(done);
                    is_done = true;
                  });
    settle();
    REQUIRE(is_done);
  }
  void settle() {
    for (int i = 0; i < 8; ++i) {
      store.answer_all();
      plane.finish_closing();
    }
  }
  void expire_due() {
    conductor.expire_due();
    settle();
  }
  core::StreamSpec lasting(std::uint16_t port) const {
    core::StreamSpec wanted = spec(port);
    wanted.expires_at = clock.wall() + kTtl;
    wanted.ends_after.at = clock.steady() + kTtl;
    return wanted;
  }
  bool lives(std::uint16_t port) { return conductor.find(port) != nullptr; }
  base::WallTime stored_end(std::uint16_t port) { return *store.rows.at(port).spec.expires_at; }

  std::optional<base::WallTime> expiry_at;
};

TEST_CASE_METHOD(TtlFixture, "a ttl outlasts a clock that is set forward, and its date follows") {
  put(lasting(9000));
  clock.advance(seconds(4));
  clock.set_wall(clock.wall() + 50 * 365 * hours(24));  // the first answer of an NTP server
  expire_due();
  REQUIRE(lives(9000));
  const base::WallTime end = clock.wall() + kTtl - seconds(4);
  CHECK(stored_end(9000) == end);
  CHECK(conductor.find(9000)->spec.expires_at == end);
  CHECK(expiry_at == end);
  CHECK(store.story().back() == "changed 9000 by service");
  const auto told = store.story().size();
  expire_due();
  CHECK(store.story().size() == told);
  clock.advance(kTtl - seconds(4) - milliseconds(1));
  expire_due();
  CHECK(lives(9000));
  clock.advance(milliseconds(1));
  expire_due();
  CHECK_FALSE(lives(9000));
}

TEST_CASE_METHOD(TtlFixture, "a ttl ends in time although the clock is set back") {
  put(lasting(9000));
  clock.set_wall(clock.wall() - 24 * hours(1));
  expire_due();
  CHECK(stored_end(9000) == clock.wall() + kTtl);
  clock.advance(kTtl);
  expire_due();
  CHECK_FALSE(lives(9000));
  CHECK(store.story().back() == "expired 9000 by service");
}

TEST_CASE_METHOD(TtlFixture, "expires_at is a date: it comes when the clock is set to it") {
  core::StreamSpec wanted = spec(9000);
  wanted.expires_at = clock.wall() + kTtl;
  put(wanted);
  clock.set_wall(clock.wall() + kTtl);
  expire_due();
  CHECK_FALSE(lives(9000));
}

TEST_CASE_METHOD(TtlFixture, "a change of another field, and a reload, leave a ttl a ttl") {
  put(lasting(9000));
  core::StreamPatch change;
  change.label = "x";
  conductor.patch(9000, change, {"tester", "id-1"}, {}, [](const auto&) {});
  settle();
  store.rows.at(9000).spec.note = "written by hand";
  store.rows.at(9000).spec.ends_after = {};
  conductor.reload({"SIGHUP", {}}, [](auto) {});
  settle();
  REQUIRE(conductor.find(9000)->spec.note == "written by hand");
  clock.set_wall(clock.wall() + 24 * hours(1));
  expire_due();
  CHECK(lives(9000));
  clock.advance(kTtl);
  expire_due();
  CHECK_FALSE(lives(9000));
}

TEST_CASE_METHOD(TtlFixture,
                 "a date that takes the place of a ttl counts, and a ttl that renews it") {
  put(lasting(9000));
  core::StreamPatch change;
  change.expires_at = clock.wall() + 2 * kTtl;
  conductor.patch(9000, change, {"tester", "id-1"}, {}, [](const auto&) {});
  settle();
  clock.advance(kTtl);
  expire_due();
  CHECK(lives(9000));
  clock.set_wall(clock.wall() + kTtl);
  expire_due();
  CHECK_FALSE(lives(9000));
}

TEST_CASE_METHOD(TtlFixture, "a slewed clock and a step of less than two seconds write no row") {
  put(lasting(9000));
  const auto told = store.story().size();
  clock.set_wall(clock.wall() + seconds(2));
  expire_due();
  CHECK(store.story().size() == told);
}

TEST_CASE_METHOD(TtlFixture, "a date that the store does not take is moved at the next look") {
  put(lasting(9000));
  clock.set_wall(clock.wall() + 24 * hours(1));
  store.failure = base::Error{base::Errc::unavailable, "the disk is full"};
  expire_due();
  CHECK(lives(9000));
  store.failure.reset();
  expire_due();
  CHECK(stored_end(9000) == clock.wall() + kTtl);
}

TEST_CASE_METHOD(TtlFixture, "the next process goes by the date") {
  core::Stream stored;
  stored.spec = lasting(9000);
  stored.spec.ends_after = {};
  boot({stored});
  clock.set_wall(clock.wall() + kTtl);
  expire_due();
  CHECK_FALSE(lives(9000));
}

}  // namespace
}  // namespace sc::test
