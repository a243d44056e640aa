#include "handoff/vault.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstddef>
#include <optional>
#include <set>

#include "handoff/vault_fixture.h"

namespace sc::test {
namespace {

using handoff::Direction;
using handoff::KeptSession;
using handoff::PipeRecord;
using handoff::RecordKind;
using handoff::SessionRecord;
using handoff::Vault;

TEST_CASE_METHOD(VaultFixture, "a former process's session is found with both its connections") {
  auto record = carried.keep(keeper(1));
  leave();
  record.reset();
  carried.close();
  restart();
  auto sessions = vault->take_sessions();
  REQUIRE(sessions.size() == 1);
  CHECK(sessions[0].keeper == 1);
  CHECK(sessions[0].record->facts().port == 9000);
  CHECK(sessions[0].record->facts().bytes_out == 20);
  CHECK(sessions[0].record->is_held());
  CHECK_FALSE(sessions[0].up);
  CHECK_FALSE(sessions[0].down);
  say(sessions[0].client, carried.client.far);
  say(carried.backend.far, sessions[0].backend);
  CHECK(vault->take_sessions().empty());
  CHECK(table().header().starts == 2);
  CHECK(vault->counters().sessions == 1);
}

TEST_CASE_METHOD(VaultFixture, "a client whose backend was being dialled is found alone") {
  auto record = SessionRecord::make_client(keeper(), facts_of(9000), carried.client.near.get());
  leave();
  record.reset();
  carried.client.near.reset();
  restart();
  auto sessions = vault->take_sessions();
  REQUIRE(sessions.size() == 1);
  CHECK_FALSE(sessions[0].backend);
  CHECK(sessions[0].record->kind() == RecordKind::client);
  say(carried.client.far, sessions[0].client);
}

TEST_CASE_METHOD(VaultFixture,
                 "a session that was a client alone first is found with its backend") {
  auto record = SessionRecord::make_client(keeper(), facts_of(9000), carried.client.near.get());
  REQUIRE(record->add_backend(carried.client.near.get(), carried.backend.near.get()));
  leave();
  record.reset();
  carried.close();
  restart();
  auto sessions = vault->take_sessions();
  REQUIRE(sessions.size() == 1);
  CHECK(sessions[0].backend);
  CHECK(sessions[0].record->kind() == RecordKind::session);
  say(carried.client.far, sessions[0].client);
}

TEST_CASE_METHOD(VaultFixture, "what waits in a pipe comes back with its session and direction") {
  auto record = carried.keep(keeper(1));
  const base::Fd up = make_pipe("upwards");
  const base::Fd down = make_pipe("down");
  const base::Fd rest = make_pipe();
  std::vector<std::unique_ptr<PipeRecord>> pipes;
  for (const base::Fd* pipe : {&up, &down, &rest})
    pipes.push_back(PipeRecord::make(keeper(1), pipe->get()));
  pipes[0]->claim(record->owner(Direction::up));
  pipes[1]->claim(record->owner(Direction::down));
  pipes[2]->claim(record->owner(Direction::up));  // was used before, and is empty
  leave();
  pipes.clear();
  record.reset();
  restart();
  auto sessions = vault->take_sessions();
  REQUIRE(sessions.size() == 1);
  REQUIRE(sessions[0].up);
  REQUIRE(sessions[0].down);
  CHECK(sessions[0].up->bytes == 7);
  CHECK(bytes_of(sessions[0].up->fd) == "upwards");
  CHECK(bytes_of(sessions[0].down->fd) == "down");
  CHECK(vault->take_pipes(0).empty());
  CHECK(vault->take_pipes(1).size() == 1);
}

TEST_CASE_METHOD(VaultFixture, "bytes of a session that has ended reach nobody") {
  auto record = carried.keep(keeper());
  const base::Fd pipe = make_pipe("secret");
  auto kept = PipeRecord::make(keeper(), pipe.get());
  kept->claim(record->owner(Direction::up));
  record.reset();
  leave();
  kept.reset();
  restart();
  CHECK(vault->take_sessions().empty());
  const auto pipes = vault->take_pipes(0);
  REQUIRE(pipes.size() == 1);
  CHECK(pipes[0].bytes == 0);
  CHECK(bytes_of(pipes[0].fd).empty());
}

TEST_CASE_METHOD(VaultFixture, "bytes of a former user of the slot are not those of the next one") {
  auto former = carried.keep(keeper());
  const std::uint64_t owner = former->owner(Direction::up);
  former.reset();
  auto record = carried.keep(keeper());
  CHECK(handoff::PipeOwner::slot(owner) == handoff::PipeOwner::slot(record->owner(Direction::up)));
  const base::Fd pipe = make_pipe("old");
  auto kept = PipeRecord::make(keeper(), pipe.get());
  kept->claim(owner);
  leave();
  kept.reset();
  record.reset();
  restart();
  auto sessions = vault->take_sessions();
  REQUIRE(sessions.size() == 1);
  CHECK_FALSE(sessions[0].up);
}

TEST_CASE_METHOD(VaultFixture, "bytes of one direction in two pipes end the session") {
  auto record = carried.keep(keeper());
  const base::Fd one = make_pipe("one");
  const base::Fd two = make_pipe("two");
  auto first = PipeRecord::make(keeper(), one.get());
  auto second = PipeRecord::make(keeper(), two.get());
  first->claim(record->owner(Direction::up));
  second->claim(record->owner(Direction::up));
  leave();
  first.reset();
  second.reset();
  record.reset();
  carried.close();
  restart();
  CHECK(is_reset(carried.client.far));
  CHECK(is_reset(carried.backend.far));
}

TEST_CASE_METHOD(VaultFixture, "a session that ended in order is not found, and nobody is reset") {
  auto record = carried.keep(keeper());
  net::end_on_close(carried.client.near.get());
  net::end_on_close(carried.backend.near.get());
  record.reset();
  CHECK(manager.capsules() == workers);  // in one is its copy still
  leave();
  carried.close();
  restart();
  CHECK(vault->take_sessions().empty());
  CHECK(manager.capsules() == workers);
  wait_for_hangup(carried.client.far.get());
  CHECK(receive_some(carried.client.far).ended);
  CHECK(receive_some(carried.backend.far).ended);
}

TEST_CASE_METHOD(VaultFixture, "a session that was given up half-way is reset") {
  auto record = carried.keep(keeper());
  const CarriedSession living;
  auto other = SessionRecord::make(keeper(), facts_of(9001), living.client.near.get(),
                                   living.backend.near.get());
  record.reset();  // and the process died before it had ended the connections
  leave();
  other.reset();
  carried.close();
  restart();
  CHECK(is_reset(carried.client.far));
  CHECK(is_reset(carried.backend.far));
  CHECK(is_open(living.client.far));
  CHECK(vault->take_sessions().size() == 1);
}

TEST_CASE_METHOD(VaultFixture, "what an interrupted move has put into two capsules is taken once") {
  link.remove = [](const std::string&) {};  // it never came to that
  vault = open();
  auto record = carried.keep(keeper());
  const base::Fd pipe = make_pipe("bytes");
  auto kept = PipeRecord::make(keeper(), pipe.get());
  kept->claim(record->owner(Direction::up));
  const base::Fd filler = make_pipe();
  const std::array<int, 1> fds{filler.get()};
  // Two capsules become full, so that the first is given up as soon as little lives in it.
  std::vector<std::unique_ptr<handoff::Kept>> fillers;
  for (std::size_t i = 0; i < 2 * handoff::Keeper::kMostRecords; ++i)
    fillers.push_back(keeper().keep({0, RecordKind::listener, 1, 0, 0}, fds));
  fillers.clear();
  leave();
  kept.reset();
  record.reset();
  link = manager.link();
  std::size_t copies = 0;
  for (const handoff::StoredFd& each : manager.passed())
    for (const auto& found : handoff::look_into(each.fd.get()))
      copies += found.record.kind == RecordKind::session ? 1 : 0;
  CHECK(copies == 2);
  carried.close();
  restart();
  auto sessions = vault->take_sessions();
  REQUIRE(sessions.size() == 1);
  REQUIRE(sessions[0].up);
  CHECK(bytes_of(sessions[0].up->fd) == "bytes");
  say(carried.client.far, sessions[0].client);
}

TEST_CASE_METHOD(VaultFixture, "a session that nobody took is there for the process after") {
  auto record = carried.keep(keeper());
  leave();
  record.reset();
  carried.close();
  for (int i = 0; i < 3; ++i) restart();
  auto sessions = vault->take_sessions();
  REQUIRE(sessions.size() == 1);
  CHECK(table().header().starts == 4);
  CHECK(is_open(carried.client.far));
}

TEST_CASE_METHOD(VaultFixture, "a session's end in the next process is its end for all after it") {
  auto record = carried.keep(keeper());
  leave();
  record.reset();
  carried.close();
  restart();
  vault->take_sessions().clear();  // without a word to its peers
  restart();
  CHECK(vault->take_sessions().empty());
  CHECK(manager.capsules() == workers);
  CHECK(is_reset(carried.client.far));
}

TEST_CASE_METHOD(VaultFixture, "slots do not run out over many processes") {
  for (int i = 0; i < 20; ++i) {
    std::vector<std::unique_ptr<SessionRecord>> records;
    for (int j = 0; j < 16; ++j) records.push_back(carried.keep(keeper()));
    records.resize(1);
    leave();
    records.clear();
    restart();
    CHECK(vault->take_sessions().size() == 1);
  }
  CHECK(table().header().sessions_used <= 17);
}

TEST_CASE_METHOD(VaultFixture, "with a table of another version all is ended by a reset") {
  auto record = carried.keep(keeper());
  const base::Fd pipe = make_pipe("bytes");
  auto kept = PipeRecord::make(keeper(), pipe.get());
  leave();
  kept.reset();
  record.reset();
  carried.close();
  const std::uint32_t version = handoff::kVersion + 1;
  REQUIRE(::pwrite(table().fd(), &version, sizeof version,
                   offsetof(handoff::TableHeader, version)) == sizeof version);
  restart();
  CHECK(is_reset(carried.client.far));
  CHECK(is_reset(carried.backend.far));
  CHECK(vault->take_sessions().empty());
  CHECK(manager.names_but_capsules() == std::vector<std::string>{"table", "probe"});
  CHECK(table().header().starts == 1);
  auto fresh = CarriedSession().keep(keeper());
  CHECK(fresh->is_held());
}

TEST_CASE_METHOD(VaultFixture, "capsules without a table are of no use and are ended") {
  auto record = carried.keep(keeper());
  leave();
  record.reset();
  carried.close();
  manager.remove("table");
  restart();
  CHECK(is_reset(carried.client.far));
  CHECK(manager.names_but_capsules() == std::vector<std::string>{"table", "probe"});
}

TEST_CASE_METHOD(VaultFixture, "a session of whose pipe no copy came back is ended") {
  auto record = carried.keep(keeper());
  const CarriedSession whole;
  auto other = SessionRecord::make(keeper(), facts_of(9001), whole.client.near.get(),
                                   whole.backend.near.get());
  const auto slot = table().take_pipe();
  table().pipe(*slot).generation = table().new_generation();
  table().pipe(*slot).owner = record->owner(Direction::down);
  leave();
  record.reset();
  other.reset();
  carried.close();
  restart();
  CHECK(is_reset(carried.client.far));
  CHECK(is_reset(carried.backend.far));
  CHECK(is_open(whole.client.far));
  CHECK(table().pipe(*slot).generation == 0);
}

struct ListenerFixture : VaultFixture {
  base::Fd listener = listen_on_loopback();
  std::uint16_t port = port_of(listener);

  std::unique_ptr<handoff::Kept> keep(const base::Fd& socket) {
    const std::array<int, 1> fds{socket.get()};
    return vault->listener_keeper().keep({0, RecordKind::listener, 1, 0, 0}, fds);
  }
};

TEST_CASE_METHOD(ListenerFixture, "a listener is found by its port, with who connected meanwhile") {
  auto kept = keep(listener);
  leave();
  kept.reset();
  listener.reset();
  vault.reset();
  const base::Fd client = connect_to(port);
  vault = open();
  CHECK(vault->take_listeners(static_cast<std::uint16_t>(port + 1)).empty());
  auto found = vault->take_listeners(port);
  REQUIRE(found.size() == 1);
  CHECK(accept_one(found[0].fd.get()).fd);
  CHECK(found[0].kept->is_held());
  CHECK(vault->take_listeners(port).empty());
}

TEST_CASE_METHOD(ListenerFixture, "a listener that was stopped is not found") {
  auto kept = keep(listener);
  net::stop_listening(listener.get());
  leave();
  kept.reset();
  listener.reset();
  restart();
  CHECK(vault->take_listeners(port).empty());
  CHECK(manager.capsules() == workers);
}

TEST_CASE_METHOD(ListenerFixture, "a listener that is in the store twice is found once") {
  auto one = keep(listener);
  auto two = keep(listener);
  leave();
  one.reset();
  two.reset();
  restart();
  CHECK(vault->take_listeners(port).size() == 1);
}

TEST_CASE_METHOD(ListenerFixture, "the port of a listener that nobody asked for is free again") {
  const base::Fd wanted = listen_on_loopback();
  auto kept = keep(listener);
  auto other = keep(wanted);
  leave();
  kept.reset();
  other.reset();
  listener.reset();
  restart();
  const auto taken = vault->take_listeners(port_of(wanted));
  REQUIRE(taken.size() == 1);
  CHECK_FALSE(net::listen_tcp(*net::Address::parse_ip("127.0.0.1", port), {}));
  vault->end_listeners();
  CHECK(net::listen_tcp(*net::Address::parse_ip("127.0.0.1", port), {}));
  CHECK(net::is_listening(taken[0].fd.get()));
  CHECK(manager.capsules() == workers + 1);
}

TEST_CASE_METHOD(ListenerFixture, "what is no listener is not taken for one") {
  auto record = keep(carried.client.near);
  leave();
  record.reset();
  restart();
  CHECK(vault->take_listeners(port_of(carried.client.near)).empty());
}

TEST_CASE_METHOD(VaultFixture, "whether the store keeps anything is seen from a probe") {
  CHECK(vault->is_store_there());
  manager.remove("probe");
  CHECK_FALSE(vault->is_store_there());
  manager.refuse(true);
  auto without = Vault::open(manager.link(), {}, 1, 16);
  REQUIRE(without);
  CHECK_FALSE((*without)->is_store_there());
}

TEST_CASE_METHOD(VaultFixture, "the store has one probe, however many processes there were") {
  for (int i = 0; i < 3; ++i) restart();
  CHECK(manager.names_but_capsules() == std::vector<std::string>{"table", "probe"});
  CHECK(vault->is_store_there());
}

TEST_CASE_METHOD(VaultFixture, "without a manager there is no vault") {
  manager.vanish();
  const auto opened = Vault::open(manager.link(), {}, 1, 16);
  REQUIRE_FALSE(opened);
  CHECK(opened.error().code == base::Errc::unavailable);
}

TEST_CASE_METHOD(VaultFixture, "another number of workers shares out what the former ones had") {
  restart(5);
  std::vector<CarriedSession> all(5);
  std::vector<std::unique_ptr<SessionRecord>> records;
  std::vector<std::unique_ptr<PipeRecord>> pipes;
  std::vector<base::Fd> fds;
  for (std::uint16_t i = 0; i < 5; ++i) {
    records.push_back(all[i].keep(keeper(i), i));
    fds.push_back(make_pipe(std::to_string(i)));
    pipes.push_back(PipeRecord::make(keeper(i), fds.back().get()));
    pipes.back()->claim(records.back()->owner(Direction::up));
  }
  leave();
  records.clear();
  pipes.clear();
  restart(2);
  auto sessions = vault->take_sessions();
  REQUIRE(sessions.size() == 5);
  std::set<std::uint16_t> ports;
  for (const KeptSession& each : sessions) {
    const std::uint16_t port = each.record->facts().port;
    CHECK(each.keeper == port % 2U);
    CHECK(ports.insert(port).second);
    REQUIRE(each.up);
    CHECK(bytes_of(each.up->fd) == std::to_string(port));
  }
}

// A session stays in the capsule of worker 3 while its pipe is one of worker 1's.
TEST_CASE_METHOD(VaultFixture, "fewer workers and then as many as before lose no session") {
  restart(4);
  auto record = carried.keep(keeper(3));
  leave();
  record.reset();
  carried.close();
  restart(2);
  auto sessions = vault->take_sessions();
  REQUIRE(sessions.size() == 1);
  CHECK(sessions[0].keeper == 1);
  const base::Fd pipe = make_pipe("bytes");
  auto kept = PipeRecord::make(keeper(1), pipe.get());
  kept->claim(sessions[0].record->owner(Direction::up));
  leave();
  kept.reset();
  sessions.clear();
  restart(4);
  sessions = vault->take_sessions();
  REQUIRE(sessions.size() == 1);
  REQUIRE(sessions[0].up);
  CHECK(bytes_of(sessions[0].up->fd) == "bytes");
  CHECK(is_open(carried.client.far));
}

}  // namespace
}  // namespace sc::test
