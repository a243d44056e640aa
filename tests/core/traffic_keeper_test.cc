#include "core/traffic_keeper.h"

#include <chrono>

#include "conductor_fixture.h"
#include "support/catch.h"

namespace sc::test {
namespace {

using namespace std::chrono_literals;
using core::EndReason;
using core::Traffic;

Traffic carried(std::uint64_t sessions, std::uint64_t bytes) {
  Traffic traffic;
  traffic.sessions_total = sessions;
  traffic.bytes_in = bytes;
  traffic.bytes_out = 2 * bytes;
  traffic.ended.at(static_cast<std::size_t>(EndReason::backend_refused)) = sessions;
  return traffic;
}

struct KeeperFixture : ConductorFixture {
  core::TrafficKeeper keeper{conductor.list(), store, plane, clock};

  void save() {
    keeper.save();
    store.answer_all();
  }
  std::size_t waiting_writes() {
    const std::size_t before = store.traffic.size();
    store.answer_one();
    return store.traffic.size() - before;
  }
};

TEST_CASE_METHOD(KeeperFixture, "what has changed is saved, and nothing else is written") {
  create_now(spec(9000));
  create_now(spec(9001));
  save();
  CHECK(store.traffic.empty());
  plane.carried[9000] = carried(3, 100);
  plane.carried[9000].sessions_active = 2;
  clock.advance(1min);
  save();
  REQUIRE(store.traffic.size() == 1);
  CHECK(store.traffic.at(9000).traffic == carried(3, 100));  // who runs now is counted anew
  CHECK(store.traffic.at(9000).since == conductor.find(9000)->created_at);
  CHECK(store.traffic.at(9000).saved_at == clock.wall());
  CHECK(store.traffic.at(9000).saved_on == clock.boot());
  plane.carried[9000].sessions_active = 1;
  keeper.save();
  CHECK(store.waiting() == 0);
  CHECK(keeper.unsaved().empty());
}

TEST_CASE_METHOD(KeeperFixture, "many are saved in batches, between which others have their turn") {
  core::StreamMap streams;
  core::TrafficKeeper of_many(streams, store, plane, clock);
  constexpr std::size_t kStreams = 2 * core::TrafficKeeper::kBatch + 1;
  for (std::size_t i = 0; i < kStreams; ++i) {
    core::Stream stream;
    stream.spec = spec(static_cast<std::uint16_t>(10000 + i));
    store.rows.emplace(stream.spec.port, stream);
    streams.emplace(stream.spec.port, stream);
    plane.carried[stream.spec.port] = carried(1, 1);
  }
  of_many.save();
  CHECK(store.waiting() == 1);
  create(spec(9000));
  CHECK(waiting_writes() == core::TrafficKeeper::kBatch);
  of_many.save();  // it goes on already
  CHECK(store.waiting() == 2);
  CHECK(waiting_writes() == 0);
  CHECK(created.has_value());  // before the second batch
  store.answer_all();
  CHECK(store.traffic.size() == kStreams);
  of_many.save();
  CHECK(store.waiting() == 0);
}

TEST_CASE_METHOD(KeeperFixture, "what could not be written is written the next time") {
  create_now(spec(9000));
  plane.carried[9000] = carried(3, 100);
  store.failure = base::Error{base::Errc::unavailable, "the disk is full"};
  save();
  CHECK(store.traffic.empty());
  CHECK(keeper.unsaved().size() == 1);
  store.failure.reset();
  save();
  CHECK(store.traffic.at(9000).traffic == carried(3, 100));
}

TEST_CASE_METHOD(KeeperFixture,
                 "streams begin where the store says, disabled and failed ones too") {
  core::StoredStreams stored;
  for (std::uint16_t port = 9000; port <= 9002; ++port) {
    stored.streams.emplace_back().spec = spec(port);
    stored.traffic[port] = {clock.wall(), clock.wall(), clock.boot(), carried(port, 1)};
  }
  stored.streams[1].spec.enabled = false;
  stored.streams[2].spec.expires_at = clock.wall();
  plane.taken.insert(9000);
  keeper.start(stored);
  boot(stored);
  CHECK(plane.traffic(9000) == carried(9000, 1));
  CHECK(plane.traffic(9001) == carried(9001, 1));
  CHECK(plane.traffic(9002) == Traffic{});  // it has expired
  CHECK(keeper.unsaved().empty());
}

TEST_CASE_METHOD(KeeperFixture, "counting began with the start where nobody counted before") {
  core::StoredStreams stored;
  stored.streams.emplace_back().spec = spec(9000);
  keeper.start(stored);
  boot(stored);
  const base::WallTime started = clock.wall();
  clock.advance(1h);
  plane.carried[9000] = carried(1, 1);
  save();
  CHECK(store.traffic.at(9000).since == started);
}

TEST_CASE_METHOD(KeeperFixture, "a stream that is created again begins at nothing") {
  create_now(spec(9000));
  plane.carried[9000] = carried(3, 100);
  save();
  remove(9000);
  store.answer_all();
  plane.finish_closing();
  CHECK(plane.forgotten == std::vector<std::uint16_t>{9000});
  plane.carried.clear();
  clock.advance(1s);
  create_now(spec(9000));
  save();
  CHECK(store.traffic.empty());
  plane.carried[9000] = carried(3, 100);  // as much as the former one
  save();
  CHECK(store.traffic.at(9000).since == clock.wall());
}

TEST_CASE_METHOD(KeeperFixture, "one that is created disabled has nothing of the former one's") {
  plane.carried[9000] = carried(3, 100);  // its sessions run
  core::StreamSpec disabled = spec(9000);
  disabled.enabled = false;
  conductor.put(disabled, {"tester", {}}, {}, [](const auto&) {});
  store.answer_all();
  CHECK(plane.traffic(9000) == Traffic{});
  CHECK(keeper.unsaved().empty());
}

TEST_CASE_METHOD(KeeperFixture, "a save that comes after its stream was removed writes nothing") {
  create_now(spec(9000));
  plane.carried[9000] = carried(3, 100);
  remove(9000);
  keeper.save();  // the removal is on its way
  store.answer_all();
  CHECK(store.traffic.empty());
}

TEST_CASE_METHOD(KeeperFixture, "nor does it write for the stream that was created there since") {
  create_now(spec(9000));
  plane.carried[9000] = carried(3, 100);
  keeper.save();
  // Before its turn comes somebody has removed the stream and created it, by a clock that was set
  // back.
  store.rows.at(9000).created_at -= 1h;
  store.answer_all();
  CHECK(store.traffic.empty());
}

}  // namespace
}  // namespace sc::test
