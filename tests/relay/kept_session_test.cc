#include <optional>
#include <vector>

#include "relay/loop_fixture.h"
#include "relay/session.h"
#include "relay/tcp_pair.h"
#include "support/catch.h"
#include "support/fake_fd_store.h"

namespace sc::test {
namespace {

using namespace std::chrono_literals;
using handoff::RecordKind;
using relay::Session;

// client <-> session -> backend, kept by a vault of one worker. The store's copies of its sockets
// stay where they are, so that a mere close(2) would show.
struct KeptSessionFixture : LoopFixture {
  FakeFdStore manager;
  std::unique_ptr<handoff::Vault> vault =
      std::move(*handoff::Vault::open(manager.link(), {}, 1, 16));
  relay::PipePool pipes{nullptr, &vault->keeper(0)};
  std::vector<std::byte> buffer{relay::Pump::kBuffer};
  relay::SessionOptions options;
  core::Durability durable = core::Durability::established;
  sa_family_t backend_family = AF_INET;
  net::SpareSockets spares;
  std::shared_ptr<relay::StreamCounters> counters = std::make_shared<relay::StreamCounters>();
  base::Fd listener = listen_on_loopback();
  base::Fd client;
  base::Fd backend;
  std::optional<core::EndReason> end;
  std::optional<Session> session;

  KeptSessionFixture() { options.durable_after = 0ms; }

  void start() {
    TcpPair pair = make_tcp_pair();
    client = std::move(pair.far);
    relay::StreamContext stream;
    stream.id = 1;
    stream.counters = counters;
    relay::SessionSpec spec{9000, core::Backend{"127.0.0.1", port_of(listener)}, {}, {}};
    spec.durable = durable;
    spec.backend_family = backend_family;
    stream.spec = std::make_shared<const relay::SessionSpec>(spec);
    net::Accepted accepted{std::move(pair.near), net::local_address(client.get())};
    relay::NewClient came =
        durable == core::Durability::early
            ? relay::keep_at_once(vault->keeper(0), spec, std::move(accepted), spares)
            : relay::NewClient{std::move(accepted)};
    session.emplace(
        loop, 1, std::move(stream), std::move(came), options,
        relay::Pump::Resources{buffer, &pipes}, &vault->keeper(0),
        [](core::Reach, const std::string&) {},
        [this](const relay::SessionEnd& told) {
          end = told.reason;
          session.reset();
        });
  }
  void connect() {
    turn_until([&] { return session->state() == Session::State::relaying; });
    backend = accept_one(listener.get()).fd;
  }
  std::size_t stored(RecordKind kind) const {
    std::size_t count = 0;
    for (const handoff::StoredFd& each : manager.passed())
      if (each.name.starts_with(handoff::kCapsulePrefix))
        for (const auto& found : handoff::look_into(each.fd.get()))
          count += found.record.kind == kind ? 1 : 0;
    return count;
  }
  std::size_t kept() const { return vault->counters().sessions; }
  std::uint64_t not_kept(handoff::Trouble why) const {
    return vault->counters().not_kept[static_cast<std::size_t>(why)];
  }

  void ends_in_order() {
    send_all(client, "question");
    end_writes(client);
    const Received asked = receive_to_end(backend);
    CHECK(asked.bytes == "question");
    CHECK(asked.ended);
    send_all(backend, "answer");
    end_writes(backend);
    const Received answered = receive_to_end(client);
    CHECK(answered.bytes == "answer");
    CHECK(answered.ended);
    turn_until([&] { return end.has_value(); });
    CHECK(*end == core::EndReason::finished);
  }
  void passes_a_reset_on() {
    send_all(client, "question");
    turn_until([&] { return receive_some(backend).bytes == "question"; });
    reset(client);
    CHECK(receive_to_end(backend).reset);
    turn_until([&] { return end.has_value(); });
    CHECK(*end == core::EndReason::client_reset);
  }
};

TEST_CASE_METHOD(KeptSessionFixture,
                 "a session is kept when its backend is reached, off never is") {
  durable = GENERATE(core::Durability::off, core::Durability::established, core::Durability::early);
  const bool is_kept = durable != core::Durability::off;
  const bool is_early = durable == core::Durability::early;
  start();
  CHECK(stored(RecordKind::dialing) == (is_early ? 1 : 0));
  connect();
  CHECK(stored(RecordKind::session) == (is_kept && !is_early ? 1 : 0));
  CHECK(kept() == (is_kept ? 1 : 0));
  CHECK(session->keep() == is_kept);
  CHECK(session->is_kept() == is_kept);
  ends_in_order();
  CHECK(kept() == 0);
}

TEST_CASE_METHOD(KeptSessionFixture, "a client whose backend is a name is kept alone first") {
  durable = core::Durability::early;
  backend_family = AF_UNSPEC;
  start();
  CHECK(stored(RecordKind::client) == 1);
  connect();
  CHECK(stored(RecordKind::session) == 1);
  ends_in_order();
}

TEST_CASE_METHOD(KeptSessionFixture, "a session that was kept early is one for the next process") {
  durable = core::Durability::early;
  start();
  connect();
  send_all(client, "question");
  CHECK(receive(backend, 8) == "question");
  vault->keeper(0).leave();
  session.reset();
  const auto next = handoff::Vault::open(manager.link(), manager.passed(), 1, 16);
  REQUIRE(next);
  const auto sessions = (*next)->take_sessions();
  REQUIRE(sessions.size() == 1);
  CHECK(sessions[0].backend);
  send_all(backend, "answer");
  CHECK(receive(sessions[0].backend, 6) == "answer");
}

TEST_CASE_METHOD(KeptSessionFixture, "a session that is not old enough is kept once it is") {
  options.durable_after = 1h;
  start();
  connect();
  send_all(client, "hello");
  CHECK(receive(backend, 5) == "hello");
  CHECK(stored(RecordKind::session) == 0);
  CHECK(session->keep());
  CHECK(stored(RecordKind::session) == 1);
  ends_in_order();
}

TEST_CASE_METHOD(KeptSessionFixture,
                 "a session that became old enough while it dialled is kept with its backend") {
  options.durable_after = 1h;
  start();
  CHECK_FALSE(session->keep());
  connect();
  CHECK(stored(RecordKind::session) == 1);
}

TEST_CASE_METHOD(KeptSessionFixture, "at the end of the process a client alone is kept as well") {
  start();
  CHECK(session->keep_at_last());
  CHECK(stored(RecordKind::client) == 1);
}

TEST_CASE_METHOD(KeptSessionFixture, "bytes of a kept session are counted for the next process") {
  start();
  connect();
  send_all(client, "question");
  CHECK(receive(backend, 8) == "question");
  send_all(backend, "answer");
  CHECK(receive(client, 6) == "answer");
  const handoff::SessionSlot& slot = vault->keeper(0).table().session(0);
  CHECK(slot.bytes_in == 8);
  CHECK(slot.bytes_out == 6);
  CHECK(slot.port == 9000);
}

TEST_CASE_METHOD(KeptSessionFixture,
                 "a kept session's reset reaches the other side, whoever has copies") {
  start();
  connect();
  passes_a_reset_on();
  CHECK(kept() == 0);
}

TEST_CASE_METHOD(KeptSessionFixture, "a kept session that is cut is cut, whoever has copies") {
  start();
  connect();
  session->cut(core::EndReason::killed);
  CHECK(receive_to_end(client).reset);
  CHECK(receive_to_end(backend).reset);
}

TEST_CASE_METHOD(KeptSessionFixture,
                 "a client that is cut while it is dialled for is cut, whoever has copies") {
  durable = core::Durability::early;
  start();
  CHECK(kept() == 1);
  backend = accept_one(listener.get()).fd;  // as its session does not know yet
  session->cut(core::EndReason::killed);
  CHECK(receive_to_end(client).reset);
  CHECK(receive_to_end(backend).reset);
  CHECK(kept() == 0);
}

TEST_CASE_METHOD(KeptSessionFixture, "a kept client whose backend refuses is reset") {
  durable = core::Durability::early;
  net::stop_listening(listener.get());
  start();
  turn_until([&] { return end.has_value(); });
  CHECK(*end == core::EndReason::backend_refused);
  CHECK(receive_to_end(client).reset);
  CHECK(kept() == 0);
}

// The store's copies stay: the capsule is held by somebody, who takes no further one.
struct UnkeptAgainFixture : KeptSessionFixture {
  void give_up() {
    start();
    connect();
    fill_capsule();
    manager.refuse(true);
    send_all(client, "hello");
    CHECK(receive(backend, 5) == "hello");
    CHECK(not_kept(handoff::Trouble::no_pipe) == 1);
    CHECK(kept() == 0);
    CHECK(stored(RecordKind::session) == 1);  // a copy, which nobody believes in
  }
  void fill_capsule() {
    const std::array<int, 1> fds{listener.get()};
    while (fillers.size() + 1 < handoff::Keeper::kMostRecords)
      fillers.push_back(vault->keeper(0).keep({0, RecordKind::listener, 1, 0, 0}, fds));
  }
  std::vector<std::unique_ptr<handoff::Kept>> fillers;
};

TEST_CASE_METHOD(UnkeptAgainFixture, "a session that is not kept any more still ends in order") {
  give_up();
  ends_in_order();
}

TEST_CASE_METHOD(UnkeptAgainFixture,
                 "a session that is not kept any more still passes a reset on") {
  give_up();
  passes_a_reset_on();
}

TEST_CASE_METHOD(UnkeptAgainFixture,
                 "a client kept early whose backend cannot be added goes on and ends") {
  durable = core::Durability::early;
  backend_family = AF_UNSPEC;
  start();
  fill_capsule();
  manager.refuse(true);
  connect();
  CHECK(not_kept(handoff::Trouble::store_refused) >= 1);
  SECTION("in order") { ends_in_order(); }
  SECTION("by a reset") { passes_a_reset_on(); }
  CHECK(kept() == 0);
}

TEST_CASE_METHOD(UnkeptAgainFixture, "what was not kept any more when the process died is reset") {
  give_up();
  vault->keeper(0).leave();
  session.reset();
  fillers.clear();
  manager.refuse(false);
  const auto next = handoff::Vault::open(manager.link(), manager.passed(), 1, 16);
  REQUIRE(next);
  CHECK((*next)->take_sessions().empty());
  CHECK(receive_to_end(client).reset);
  CHECK(receive_to_end(backend).reset);
}

}  // namespace
}  // namespace sc::test
