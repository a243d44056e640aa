#include <numeric>
#include <vector>

#include "relay/hand_over.h"
#include "support/fake_host.h"

namespace sc::test {
namespace {

using namespace std::chrono_literals;

// What of a stream's sessions outlives the process, and from when on.

TEST_CASE_METHOD(HandOverFixture, "a session that is durable never is cut") {
  const std::uint16_t port = open(core::Durability::off).spec.port;
  const Pair pair = connect_and_talk(port);
  const auto report = process->hand_over();
  CHECK(report.kept == 0);
  CHECK(report.cut == 1);
  CHECK(is_reset(pair.client));
  CHECK(is_reset(pair.backend));
}

// The backend's name is not answered, so the session is dialling.
TEST_CASE_METHOD(HandOverFixture,
                 "a client whose backend is being dialled is served by the next process") {
  core::Stream& stream = open(core::Durability::early);
  FakeHost host;
  host.hang_name("slow.test");
  stream.spec.backend = {"slow.test", port_of(backend)};
  pool().change(stream.spec);
  Pair pair;
  pair.client = connect_to(stream.spec.port);
  process->turn_until([&] { return stored(handoff::RecordKind::client) == 1; });
  const auto report = process->hand_over();
  host.forget_name("slow.test");  // no server is asked for it
  host.answer_names();
  process.reset();
  CHECK(report.kept == 1);
  stream.spec.backend = {"127.0.0.1", port_of(backend)};
  begin_process();
  open_streams();
  pair.backend = accept_one(backend.get()).fd;
  talk(pair);
  restart();  // and it is a session as others are
  talk(pair);
}

TEST_CASE_METHOD(HandOverFixture, "a client of an early stream is kept by one copy") {
  const Pair pair = connect_and_talk(open(core::Durability::early).spec.port);
  CHECK(stored(handoff::RecordKind::dialing) == 1);
  CHECK(stored(handoff::RecordKind::session) == 0);
  restart();
  talk(pair);
}

TEST_CASE_METHOD(HandOverFixture, "behind an early client another capsule is asked for ahead") {
  process.reset();
  options.workers = 1;
  process.emplace(manager, options);
  const std::uint16_t port = open(core::Durability::early).spec.port;
  std::vector<Pair> pairs;
  for (std::size_t i = 0; i < 2 * handoff::Keeper::kManyEnded; ++i) pairs.push_back(connect(port));
  const std::size_t capsules = manager.capsules();
  pairs.resize(handoff::Keeper::kManyEnded);
  process->turn_until([&] { return pool().sessions() == handoff::Keeper::kManyEnded; });
  pairs.push_back(connect(port));  // kept in the first one; no pipe is, which would ask as well
  process->turn_until([&] { return manager.capsules() == capsules + 1; });
  CHECK(stored(handoff::RecordKind::dialing) == 2 * handoff::Keeper::kManyEnded + 1);
}

TEST_CASE_METHOD(HandOverFixture, "a session is kept from the start, or once it is old enough") {
  process.reset();
  const auto after = GENERATE(0ms, 30ms);
  options.session.durable_after = after;
  process.emplace(manager, options);
  const std::uint16_t port = open().spec.port;
  const Pair pair = connect_and_talk(port);
  if (after == 0ms) CHECK(stored(handoff::RecordKind::session) == 1);
  process->turn_until([&] { return stored(handoff::RecordKind::session) == 1; });
  CHECK(process->vault->counters().sessions == 1);
}

TEST_CASE_METHOD(HandOverFixture, "a session that is young is kept when the process ends") {
  process.reset();
  options.session.durable_after = 1h;
  process.emplace(manager, options);
  const Pair pair = connect_and_talk(open().spec.port);
  CHECK(stored(handoff::RecordKind::session) == 0);
  restart();
  talk(pair);
}

TEST_CASE_METHOD(HandOverFixture,
                 "where the manager keeps nothing, sessions are cut and each is counted once") {
  const auto durable = GENERATE(core::Durability::established, core::Durability::early);
  process.reset();
  manager.refuse(true);
  process.emplace(manager, options);
  const Pair pair = connect_and_talk(open(durable).spec.port);
  const auto report = process->hand_over();
  CHECK(report.kept == 0);
  CHECK(report.cut == 1);
  CHECK(is_reset(pair.client));
  const auto& not_kept = process->vault->counters().not_kept;
  CHECK(std::accumulate(not_kept.begin(), not_kept.end(), 0ULL) == 1);
  CHECK(not_kept[static_cast<std::size_t>(handoff::Trouble::store_refused)] == 1);
}

// How many are counted once a session of each kind has been served, in this order.
std::uint64_t count_unkept(const std::vector<core::Durability>& kinds,
                           std::chrono::milliseconds durable_after, std::uint64_t at_least) {
  loop::Loop control;
  relay::WorkerPool pool(control,
                         {1, {2s, 0ms, {}, durable_after}, *net::Address::parse_ip("127.0.0.1", 0)},
                         [](auto, auto, const auto&) {});
  const base::Fd backend = listen_on_loopback();
  std::vector<Carried> pairs;
  for (const core::Durability durable : kinds) {
    core::Stream stream;
    stream.spec.backend = {"127.0.0.1", port_of(backend)};
    stream.spec.durable = durable;
    auto listener = pool.prepare(stream.spec);
    REQUIRE(listener);
    stream.spec.port = port_of(*listener);
    pool.activate(std::move(*listener), stream);
    pairs.push_back(connect_through(stream.spec.port, backend));
    CHECK(talks(pairs.back()));
  }
  CHECK(loop_until_seen(control, [&] { return pool.unkept_sessions() >= at_least; }));
  CHECK(talks(pairs.back()));  // so the worker is through with what it counts at a time
  return pool.unkept_sessions();
}

TEST_CASE("without a vault each session is counted once, when it would have been kept") {
  using enum core::Durability;
  CHECK(count_unkept({established}, 0ms, 1) == 1);
  CHECK(count_unkept({early}, 0ms, 1) == 1);
  CHECK(count_unkept({off, early, established}, 10ms, 2) == 2);
  CHECK(count_unkept({off, early, established}, 1h, 1) == 1);  // the early one
}

}  // namespace
}  // namespace sc::test
