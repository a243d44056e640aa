#include "handoff/copy_place.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>

#include "handoff/vault_fixture.h"
#include "net/tcp_position.h"

namespace sc::test {
namespace {

using handoff::CopyPlace;
using handoff::Direction;
using handoff::KeptSession;
using handoff::PipeRecord;
using handoff::SessionRecord;

// A process that has a session and is ended in the middle of a message of it.
struct CopyFixture : VaultFixture {
  std::string message = "a message on its way";
  Direction direction = GENERATE(Direction::up, Direction::down);
  std::unique_ptr<SessionRecord> record = carried.keep(keeper(1));
  base::Fd spare = make_pipe();
  std::unique_ptr<PipeRecord> spare_record = PipeRecord::make(keeper(1), spare.get());
  TcpPair& from = direction == Direction::up ? carried.client : carried.backend;
  TcpPair& to = direction == Direction::up ? carried.backend : carried.client;
  const std::uint64_t owner = record->owner(direction);
  CopyPlace place{*table().take_copy(1)};

  handoff::CopySlot& slot() { return table().copy(1); }

  // The steps of Pump::copy_kept().
  void begin() {
    send_all(from.far, message);
    wait_for(from.near.get(), POLLIN);
    place.begin(record->owner(direction), *net::bytes_read(from.near.get()),
                *net::bytes_written(to.near.get()));
  }
  void read() const {
    REQUIRE(::recv(from.near.get(), bytes().data(), bytes().size(), 0) ==
            static_cast<ssize_t>(message.size()));
  }
  void write(std::size_t size) const {
    send_all(to.near, std::string_view(reinterpret_cast<const char*>(bytes().data()), size));
  }
  void write_after_reading(std::size_t size) {
    begin();
    read();
    place.note_read(message.size());
    write(size);
  }
  void put_aside(std::size_t from_there) const {
    const auto rest = bytes().subspan(from_there, message.size() - from_there);
    REQUIRE(::write(spare.get(), rest.data(), rest.size()) == static_cast<ssize_t>(rest.size()));
  }
  std::span<std::byte> bytes() const { return const_cast<CopyPlace&>(place).bytes(); }

  void die() {
    leave();
    record.reset();
    spare_record.reset();
    carried.close();
  }
  // What the next process finds of the session.
  KeptSession next() {
    die();
    restart();
    CHECK(slot().owner == 0);
    auto sessions = vault->take_sessions();
    REQUIRE(sessions.size() == 1);
    return std::move(sessions[0]);
  }
  std::optional<handoff::KeptPipe>& waiting(KeptSession& session) const {
    return direction == Direction::up ? session.up : session.down;
  }
  const base::Fd& source(const KeptSession& session) const {
    return direction == Direction::up ? session.client : session.backend;
  }
  // All that the sink has, what waits for it, and what can still be read for it.
  std::string all_of(KeptSession& session) const {
    std::string all = receive_some(to.far).bytes;
    if (auto& pipe = waiting(session)) {
      CHECK(pipe->bytes > 0);
      all += bytes_of(pipe->fd);
    }
    return all + receive_some(source(session)).bytes;
  }
  bool is_ended() { return is_reset(carried.client.far) && is_reset(carried.backend.far); }
};

TEST_CASE_METHOD(CopyFixture, "a message that was not read yet is still to be read") {
  begin();
  KeptSession session = next();
  CHECK_FALSE(waiting(session));
  CHECK(all_of(session) == message);
}

TEST_CASE_METHOD(CopyFixture, "a message that was read, which nobody noted, waits for its sink") {
  begin();
  read();
  SECTION("and nothing came since") {
    KeptSession session = next();
    REQUIRE(waiting(session));
    CHECK(waiting(session)->bytes == message.size());
    CHECK(all_of(session) == message);
  }
  SECTION("and its source broke since, but it was noted") {
    place.note_read(message.size());
    reset(from.far);
    wait_for(from.near.get(), POLLERR);
    KeptSession session = next();
    REQUIRE(waiting(session));
    CHECK(bytes_of(waiting(session)->fd) == message);
    CHECK(is_open(to.far));
  }
  SECTION("and more came since") {
    send_all(from.far, ", and another");
    wait_for(from.near.get(), POLLIN);
    KeptSession session = next();
    CHECK(all_of(session) == message + ", and another");
  }
  SECTION("and the source ended since") {
    end_writes(from.far);
    wait_for(from.near.get(), POLLRDHUP);
    KeptSession session = next();
    CHECK(all_of(session) == message);
    CHECK(receive_some(source(session)).ended);
  }
  SECTION("and the source ended since, to which the sink had ended before") {
    end_writes(from.near);
    wait_for(from.far.get(), POLLRDHUP);
    end_writes(from.far);
    wait_for(from.near.get(), POLLHUP);
    KeptSession session = next();
    CHECK(all_of(session) == message);
  }
}

TEST_CASE_METHOD(CopyFixture, "of a message that was written in part the rest waits for its sink") {
  const std::size_t taken = GENERATE(0U, 1U, 9U, 19U, 20U);
  write_after_reading(taken);
  SECTION("which nobody put aside") {}
  SECTION("for which a pipe was chosen") { spare_record->claim(record->owner(direction)); }
  SECTION("which is in a pipe") {
    spare_record->claim(record->owner(direction));
    if (taken < message.size()) put_aside(taken);
  }
  KeptSession session = next();
  CHECK(waiting(session).has_value() == (taken < message.size()));
  if (waiting(session)) CHECK(waiting(session)->record->is_held());
  CHECK(all_of(session) == message);
}

TEST_CASE_METHOD(CopyFixture, "a message that was read and written is there once") {
  write_after_reading(message.size());
  wait_for(to.far.get(), POLLIN);
  KeptSession session = next();
  CHECK_FALSE(waiting(session));
  CHECK(all_of(session) == message);
}

TEST_CASE_METHOD(CopyFixture, "a message of which nothing is left to do concerns nobody") {
  write_after_reading(message.size());
  place.end();
  send_all(from.far, "next");
  wait_for(from.near.get(), POLLIN);
  KeptSession session = next();
  CHECK(all_of(session) == message + "next");
}

TEST_CASE_METHOD(CopyFixture,
                 "what was left of a message is there for the process after the next") {
  write_after_reading(4);
  die();
  restart();
  leave();
  restart();
  auto sessions = vault->take_sessions();
  REQUIRE(sessions.size() == 1);
  CHECK(all_of(sessions[0]) == message);
}

TEST_CASE_METHOD(CopyFixture,
                 "what a kill in the middle of putting the rest aside left is written anew") {
  write_after_reading(4);
  spare_record->claim(record->owner(direction));
  REQUIRE(::write(spare.get(), message.data() + 4, 3) == 3);
  KeptSession session = next();
  REQUIRE(waiting(session));
  CHECK(waiting(session)->bytes == message.size() - 4);
  CHECK(all_of(session) == message);
}

TEST_CASE_METHOD(CopyFixture, "what was learnt of a source that breaks later was noted") {
  begin();
  read();
  die();
  restart();  // and is killed before it is done with the message
  leave();
  CHECK(slot().size == message.size());
  slot().owner = owner;
  reset(from.far);
  restart();
  auto sessions = vault->take_sessions();
  REQUIRE(sessions.size() == 1);
  REQUIRE(waiting(sessions[0]));
  CHECK(is_open(to.far));
  CHECK(bytes_of(waiting(sessions[0])->fd) == message);
}

TEST_CASE_METHOD(CopyFixture, "the rest of a long message goes into a pipe that takes it") {
  message = pattern(12'000);
  const base::Fd other = make_pipe();
  const base::Fd third = make_pipe();
  auto other_record = PipeRecord::make(keeper(1), other.get());
  auto third_record = PipeRecord::make(keeper(1), third.get());
  for (const int pipe : {spare.get(), third.get()})
    REQUIRE(::fcntl(pipe, F_SETPIPE_SZ, 4096) == 4096);
  begin();
  read();
  leave();
  other_record.reset();
  third_record.reset();
  KeptSession session = next();
  REQUIRE(waiting(session));
  CHECK(waiting(session)->bytes == message.size());
}

TEST_CASE_METHOD(CopyFixture, "where no pipe is left one is made for the rest of a message") {
  begin();
  read();
  spare_record.reset();
  KeptSession session = next();
  REQUIRE(waiting(session));
  CHECK(waiting(session)->record->is_held());
  CHECK(all_of(session) == message);
}

TEST_CASE_METHOD(CopyFixture, "with another number of workers a message finds its session") {
  begin();
  read();
  die();
  restart(1);
  auto sessions = vault->take_sessions();
  REQUIRE(sessions.size() == 1);
  CHECK(all_of(sessions[0]) == message);
}

TEST_CASE_METHOD(CopyFixture, "a message of a session that has ended reaches nobody") {
  begin();
  read();
  record.reset();
  die();
  restart();
  CHECK(vault->take_sessions().empty());
  CHECK(slot().owner == 0);
  const auto pipes = vault->take_pipes(1);
  REQUIRE(pipes.size() == 1);
  CHECK(bytes_of(pipes[0].fd).empty());
}

TEST_CASE_METHOD(CopyFixture, "a session is ended when it cannot be told how far a message got") {
  begin();
  SECTION("as its source broke, and it was not noted whether it was read") {
    read();
    reset(from.far);
    wait_for(from.near.get(), POLLERR);
    die();
    restart();
    CHECK(is_reset(to.far));
    return;
  }
  SECTION("as more was noted than there is room for") { place.note_read(bytes().size() + 1); }
  SECTION("as its sink has taken more than the message") {
    read();
    place.note_read(3);
    write(4);
  }
  SECTION("as its sink has taken less than nothing") {
    read();
    slot().written.fetch_add(1);
    place.note_read(3);
  }
  SECTION("as a pipe has more than the rest") {
    read();
    place.note_read(message.size());
    write(4);
    spare_record->claim(record->owner(direction));
    put_aside(3);
  }
  die();
  restart();
  CHECK(is_ended());
  CHECK(slot().owner == 0);
}

TEST_CASE_METHOD(CopyFixture, "a message of a session that has broken is not looked for") {
  begin();
  read();
  record->slot().broken = 1;
  die();
  restart();
  CHECK(is_ended());
  CHECK(slot().size == 0);
  CHECK(slot().owner == 0);
}

}  // namespace
}  // namespace sc::test
