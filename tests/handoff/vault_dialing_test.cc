#include "handoff/vault.h"
#include "handoff/vault_fixture.h"

namespace sc::test {
namespace {

using handoff::KeptSession;
using handoff::RecordKind;
using handoff::SessionRecord;

// A client that was kept with the socket by which its backend was dialled.
struct DialingFixture : VaultFixture {
  std::unique_ptr<SessionRecord> record = SessionRecord::make_dialing(
      keeper(), facts_of(9000), carried.client.near.get(), carried.backend.near.get());

  void die() {
    leave();
    record.reset();
    carried.close();
    restart();
  }
  KeptSession take_one() {
    auto sessions = vault->take_sessions();
    REQUIRE(sessions.size() == 1);
    return std::move(sessions[0]);
  }
};

TEST_CASE_METHOD(DialingFixture, "a client whose backend was not reached yet is found alone") {
  net::end_on_close(carried.client.near.get());  // as if it had been killed right after the copy
  link.remove = [](const std::string&) {};       // the former capsule stays
  die();
  const KeptSession session = take_one();
  CHECK_FALSE(session.backend);
  CHECK(session.record->kind() == RecordKind::client);
  CHECK(net::resets_on_close(session.client.get()));
  say(carried.client.far, session.client);
  CHECK(is_reset(carried.backend.far));  // there will be another connection
}

TEST_CASE_METHOD(DialingFixture, "a backend that was reached by the first socket is found") {
  REQUIRE(record->reach());
  die();
  for (int lives = 0; lives < 2; ++lives) {
    KeptSession session = take_one();
    CHECK(session.record->kind() == RecordKind::session);
    say(carried.client.far, session.client);
    say(carried.backend.far, session.backend);
    leave();
    session = {};
    restart();
  }
}

TEST_CASE_METHOD(DialingFixture, "a client that was dialled for again is found with that backend") {
  die();
  KeptSession session = take_one();
  CarriedSession again;
  REQUIRE(session.record->add_backend(session.client.get(), again.backend.near.get()));
  leave();
  session = {};
  again.close();
  restart();
  session = take_one();
  CHECK(session.record->kind() == RecordKind::session);
  say(carried.client.far, session.client);
  say(again.backend.far, session.backend);
}

TEST_CASE_METHOD(DialingFixture, "a client whose later backend was not kept is ended") {
  record->slot().reached = handoff::Reached::by_later;
  die();
  CHECK(is_reset(carried.client.far));
  CHECK(is_reset(carried.backend.far));
}

TEST_CASE_METHOD(VaultFixture, "a client is enough of one that was being dialled for") {
  const auto slot = table().take_session();
  table().session(*slot).generation = table().new_generation();
  const std::array<int, 1> fds{carried.client.near.get()};
  auto kept =
      keeper().keep({*slot, RecordKind::dialing, 4, 0, table().session(*slot).generation}, fds);
  leave();
  kept.reset();
  carried.close();
  restart();
  const auto sessions = vault->take_sessions();
  REQUIRE(sessions.size() == 1);
  CHECK_FALSE(sessions[0].backend);
  say(carried.client.far, sessions[0].client);
}

TEST_CASE_METHOD(DialingFixture, "a client that was given up while it was dialled for is reset") {
  record.reset();  // and the process died before it had ended the connections
  die();
  CHECK(is_reset(carried.client.far));
  CHECK(is_reset(carried.backend.far));
}

}  // namespace
}  // namespace sc::test
