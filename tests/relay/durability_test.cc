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
                 "where the manager keeps nothing, sessions are cut and it is counted") {
  process.reset();
  manager.refuse(true);
  process.emplace(manager, options);
  const Pair pair = connect_and_talk(open().spec.port);
  const auto report = process->hand_over();
  CHECK(report.kept == 0);
  CHECK(report.cut == 1);
  CHECK(is_reset(pair.client));
  const auto& not_kept = process->vault->counters().not_kept;
  CHECK(not_kept[static_cast<std::size_t>(handoff::Trouble::store_refused)] > 0);
}

TEST_CASE("without a vault sessions that would be kept are counted") {
  loop::Loop control;
  relay::WorkerPool pool(control, {1, {2s, 0ms, {}, 10ms}, *net::Address::parse_ip("127.0.0.1", 0)},
                         [](auto, const auto&) {});
  const base::Fd backend = listen_on_loopback();
  core::Stream stream;
  stream.spec.backend = {"127.0.0.1", port_of(backend)};
  auto listener = pool.prepare(stream.spec);
  REQUIRE(listener);
  stream.spec.port = port_of(*listener);
  pool.activate(std::move(*listener), stream);
  const base::Fd client = connect_to(stream.spec.port);
  const base::Fd accepted = accept_one(backend.get()).fd;
  CHECK(loop_until_seen(control, [&] { return pool.unkept_sessions() == 1; }));
}

}  // namespace
}  // namespace sc::test
