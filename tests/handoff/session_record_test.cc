#include "handoff/session_record.h"

#include <chrono>
#include <limits>
#include <numeric>
#include <optional>

#include "handoff/fixture.h"

namespace sc::test {
namespace {

using handoff::Direction;
using handoff::PipeRecord;
using handoff::Reached;
using handoff::RecordKind;
using handoff::SessionRecord;
using handoff::Trouble;

struct RecordFixture {
  FakeFdStore manager;
  std::unique_ptr<handoff::Table> table = std::move(*handoff::Table::make(16));
  std::function<void()> on_remove = [] {};
  handoff::StoreLink link = [this] {
    handoff::StoreLink made = manager.link();
    made.remove = [this](const std::string& name) {
      on_remove();
      manager.remove(name);
    };
    return made;
  }();
  handoff::KeepCounters counters;
  handoff::Keeper keeper{link, *table, counters, "0"};
  CarriedSession carried;

  std::uint64_t not_kept() const {
    return std::accumulate(counters.not_kept.begin(), counters.not_kept.end(), std::uint64_t{0});
  }
  std::uint64_t not_kept(Trouble why) const {
    return counters.not_kept[static_cast<std::size_t>(why)];
  }
};

TEST_CASE_METHOD(RecordFixture, "what is told of a session is read from its record") {
  const auto record = carried.keep(keeper);
  const handoff::SessionFacts facts = record->facts();
  CHECK(facts.port == 9000);
  CHECK(facts.stream_created_at == 1'793'541'780'000);
  CHECK(facts.started_at == 5'000);
  CHECK(facts.last_byte_at == 6'000);
  CHECK(facts.bytes_in == 10);
  CHECK(facts.bytes_out == 20);
  CHECK(facts.peer == *net::Address::parse_ip("192.0.2.7", 40'000));
  CHECK(record->kind() == RecordKind::session);
  CHECK(record->is_held());
  CHECK(counters.sessions == 1);
}

TEST_CASE_METHOD(RecordFixture, "times that no clock has had are read as now, or as the boot") {
  constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
  constexpr auto kLeast = std::numeric_limits<std::int64_t>::min();
  const auto record = carried.keep(keeper);
  const auto now = [] {
    return std::chrono::floor<std::chrono::milliseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
  };
  const std::int64_t before = now();
  record->slot().started_at = kMost;
  record->slot().last_byte_at = kMost;
  handoff::SessionFacts facts = record->facts();
  CHECK(facts.started_at >= before);
  CHECK(facts.started_at <= now());
  CHECK(facts.last_byte_at >= before);
  CHECK(facts.last_byte_at <= now());
  record->slot().started_at = kLeast;
  record->slot().last_byte_at = kLeast;
  facts = record->facts();
  CHECK(facts.started_at == 0);
  CHECK(facts.last_byte_at == 0);
}

TEST_CASE_METHOD(RecordFixture, "an IPv6 client is known after the process") {
  handoff::SessionFacts facts = facts_of(9000);
  facts.peer = *net::Address::parse_ip("2001:db8::7", 40'001);
  const auto record =
      SessionRecord::make(keeper, facts, carried.client.near.get(), carried.backend.near.get());
  REQUIRE(record);
  CHECK(record->facts().peer == facts.peer);
}

TEST_CASE_METHOD(RecordFixture, "a slot that was used before says nothing of the former session") {
  {
    const auto former = carried.keep(keeper);
    former->slot().up_ended = 1;
    former->slot().down_ended = 1;
  }
  handoff::SessionFacts facts;
  facts.port = 9001;
  const CarriedSession other;
  const auto record =
      SessionRecord::make(keeper, facts, other.client.near.get(), other.backend.near.get());
  REQUIRE(record);
  CHECK(record->slot().up_ended == 0);
  CHECK(record->slot().down_ended == 0);
  CHECK(record->facts().bytes_in == 0);
  CHECK(record->facts().peer == net::Address());
}

TEST_CASE_METHOD(RecordFixture,
                 "each direction of each session owns its pipes by a word of its own") {
  const auto one = carried.keep(keeper);
  const CarriedSession more;
  const auto two =
      SessionRecord::make(keeper, facts_of(1), more.client.near.get(), more.backend.near.get());
  CHECK(one->owner(Direction::up) != one->owner(Direction::down));
  CHECK(one->owner(Direction::up) != two->owner(Direction::up));
  CHECK(one->owner(Direction::up) != 0);
}

TEST_CASE_METHOD(RecordFixture,
                 "the peers of a kept session notice nothing when the process goes") {
  auto record = carried.keep(keeper);
  keeper.leave();
  record.reset();
  carried.close();
  CHECK(is_open(carried.client.far));
  CHECK(is_open(carried.backend.far));
  for (const std::string& name : manager.names()) manager.remove(name);
  CHECK(is_reset(carried.client.far));
  CHECK(is_reset(carried.backend.far));
}

TEST_CASE_METHOD(RecordFixture, "a session's slot is free before its copy goes") {
  auto record = carried.keep(keeper);
  const std::uint64_t owner = record->owner(Direction::up);
  const base::Fd pipe = make_pipe();
  std::vector<std::unique_ptr<handoff::Kept>> others;
  const std::array<int, 1> fds{pipe.get()};
  for (std::size_t i = 0; i < handoff::Keeper::kMostRecords; ++i)
    others.push_back(keeper.keep({0, RecordKind::listener, 1, 0, 0}, fds));
  std::vector<std::unique_ptr<handoff::Kept>> later;  // the second capsule is full as well
  for (std::size_t i = 0; i < handoff::Keeper::kMostRecords; ++i)
    later.push_back(keeper.keep({0, RecordKind::listener, 1, 0, 0}, fds));
  // A quarter lives in the first capsule: with one less it is given up.
  others.erase(others.begin(), others.end() - handoff::Keeper::kMostRecords / 4);
  std::optional<std::uint64_t> generation;
  on_remove = [&] { generation = table->session(handoff::PipeOwner::slot(owner)).generation; };
  record.reset();
  on_remove = [] {};  // the others go with this scope
  CHECK(generation == 0U);
  CHECK(counters.sessions == 0);
  CHECK(table->take_session() == handoff::PipeOwner::slot(owner));
}

TEST_CASE_METHOD(RecordFixture,
                 "a session that is not kept leaves its sockets and the table as they were") {
  manager.refuse(true);
  CHECK_FALSE(SessionRecord::make(keeper, facts_of(9000), carried.client.near.get(),
                                  carried.backend.near.get()));
  CHECK_FALSE(net::resets_on_close(carried.client.near.get()));
  CHECK_FALSE(net::resets_on_close(carried.backend.near.get()));
  CHECK(not_kept(Trouble::store_refused) == 1);
  CHECK(counters.sessions == 0);
  CHECK(table->session(0).generation == 0);
  CHECK(table->take_session() == 0U);
}

// What a manager has refused is found out by the next push.
TEST_CASE_METHOD(RecordFixture, "a session that turns out to be refused is counted once") {
  const auto refuse = [&] {
    for (const std::string& name : manager.names()) manager.remove(name);
  };
  const int client = carried.client.near.get();
  const int backend = carried.backend.near.get();
  SECTION("when its backend is to be added") {
    const auto record = SessionRecord::make_client(keeper, facts_of(9000), client);
    refuse();
    CHECK_FALSE(record->add_backend(client, backend));
    CHECK(not_kept() == 1);
  }
  SECTION("when its pipe is to be kept") {
    const auto record = carried.keep(keeper);
    refuse();
    CHECK_FALSE(handoff::PipeRecord::make(keeper, make_pipe().get()));
    record->count_no_pipe();
    CHECK(not_kept() == 1);
  }
  SECTION("when it was so before") {
    handoff::SessionFacts facts = facts_of(9000);
    facts.is_counted = true;
    const auto record = SessionRecord::make(keeper, facts, client, backend);
    REQUIRE(record);
    SECTION("by the store") {
      refuse();
      CHECK_FALSE(handoff::PipeRecord::make(keeper, make_pipe().get()));
      CHECK_FALSE(record->is_held());
    }
    SECTION("for want of a pipe") { record->count_no_pipe(); }
    CHECK(not_kept() == 0);
  }
  CHECK(counters.sessions == 0);
}

TEST_CASE_METHOD(RecordFixture,
                 "more sessions than the table has slots are not kept, which is counted") {
  while (table->take_session()) {
  }
  CHECK_FALSE(SessionRecord::make_client(keeper, facts_of(9000), carried.client.near.get()));
  CHECK(not_kept(Trouble::table_full) == 1);
}

TEST_CASE_METHOD(RecordFixture, "a client alone is kept with its backend once that is reached") {
  const auto record = SessionRecord::make_client(keeper, facts_of(9000), carried.client.near.get());
  REQUIRE(record);
  CHECK(record->kind() == RecordKind::client);
  CHECK(net::resets_on_close(carried.client.near.get()));
  const std::uint64_t owner = record->owner(Direction::up);
  CHECK(record->add_backend(carried.client.near.get(), carried.backend.near.get()));
  CHECK(record->kind() == RecordKind::session);
  CHECK(record->owner(Direction::up) == owner);
  CHECK(net::resets_on_close(carried.backend.near.get()));
  CHECK(counters.sessions == 1);
}

TEST_CASE_METHOD(RecordFixture, "a backend that cannot be added leaves the client kept alone") {
  const auto record = SessionRecord::make_client(keeper, facts_of(9000), carried.client.near.get());
  REQUIRE(record);
  const base::Fd pipe = make_pipe();
  const std::array<int, 1> fds{pipe.get()};
  std::vector<std::unique_ptr<handoff::Kept>> others;
  for (std::size_t i = 1; i < handoff::Keeper::kMostRecords; ++i)
    others.push_back(keeper.keep({0, RecordKind::listener, 1, 0, 0}, fds));
  manager.refuse(true);
  CHECK_FALSE(record->add_backend(carried.client.near.get(), carried.backend.near.get()));
  CHECK(record->kind() == RecordKind::client);
  CHECK(record->is_held());
  CHECK_FALSE(net::resets_on_close(carried.backend.near.get()));
  CHECK(not_kept(Trouble::store_refused) == 1);
}

struct DialingFixture : RecordFixture {
  std::unique_ptr<SessionRecord> keep() {
    return SessionRecord::make_dialing(keeper, facts_of(9000), carried.client.near.get(),
                                       carried.backend.near.get());
  }
  bool other_keeps(const CarriedSession& other) {
    return SessionRecord::make(keeper, facts_of(9001), other.client.near.get(),
                               other.backend.near.get()) != nullptr;
  }
  std::size_t stored() const {
    std::size_t records = 0;
    for (const handoff::StoredFd& each : manager.passed())
      records += handoff::look_into(each.fd.get()).size();
    return records;
  }
};

TEST_CASE_METHOD(DialingFixture, "a client and the socket to dial by are kept by one copy") {
  const auto record = keep();
  REQUIRE(record);
  CHECK(record->kind() == RecordKind::dialing);
  CHECK(net::resets_on_close(carried.client.near.get()));
  CHECK(net::resets_on_close(carried.backend.near.get()));
  CHECK(record->slot().reached == Reached::no);
  CHECK(record->reach());
  CHECK(record->slot().reached == Reached::by_first);
  CHECK(stored() == 1);
  CHECK(counters.sessions == 1);
}

TEST_CASE_METHOD(DialingFixture, "a client that cannot be kept leaves both sockets as they were") {
  manager.refuse(true);
  CHECK_FALSE(keep());
  CHECK_FALSE(net::resets_on_close(carried.client.near.get()));
  CHECK_FALSE(net::resets_on_close(carried.backend.near.get()));
  CHECK(not_kept(Trouble::store_refused) == 1);
  CHECK(table->take_session() == 0U);
}

TEST_CASE_METHOD(DialingFixture, "what the manager has refused meanwhile is reached unkept") {
  const bool is_alone = GENERATE(false, true);
  const auto record =
      is_alone ? SessionRecord::make_client(keeper, facts_of(9000), carried.client.near.get())
               : keep();
  REQUIRE(record);
  for (const std::string& name : manager.names()) manager.remove(name);
  const CarriedSession other;
  CHECK_FALSE(other_keeps(other));  // which finds it out
  CHECK_FALSE(record->is_held());
  while (!other_keeps(other)) {  // until the manager is asked again
  }
  const bool has_reached =
      is_alone ? record->add_backend(carried.client.near.get(), carried.backend.near.get())
               : record->reach();
  CHECK_FALSE(has_reached);
  CHECK(record->slot().reached == Reached::no);
  CHECK(counters.sessions == 0);
}

TEST_CASE_METHOD(RecordFixture, "a session that lacks a kept pipe is counted") {
  const auto record = carried.keep(keeper);
  record->count_no_pipe();
  CHECK(not_kept(Trouble::no_pipe) == 1);
}

TEST_CASE_METHOD(RecordFixture, "a pipe says whose bytes it holds until it is let go") {
  const base::Fd pipe = make_pipe();
  auto record = PipeRecord::make(keeper, pipe.get());
  REQUIRE(record);
  CHECK(record->is_held());
  CHECK(table->pipe(0).generation != 0);
  CHECK(table->pipe(0).owner == 0);
  record->claim(77);
  CHECK(table->pipe(0).owner == 77);
  record.reset();
  CHECK(table->pipe(0).generation == 0);
  const auto again = PipeRecord::make(keeper, pipe.get());
  REQUIRE(again);
  CHECK(table->pipe(0).owner == 0);
}

TEST_CASE_METHOD(RecordFixture, "a pipe that is not kept takes no slot") {
  const base::Fd pipe = make_pipe();
  manager.refuse(true);
  CHECK_FALSE(PipeRecord::make(keeper, pipe.get()));
  CHECK(table->pipe(0).generation == 0);
  CHECK(table->take_pipe() == 0U);
}

TEST_CASE_METHOD(RecordFixture, "what a process leaves stays in the table") {
  auto session = carried.keep(keeper);
  const base::Fd fd = make_pipe();
  auto pipe = PipeRecord::make(keeper, fd.get());
  pipe->claim(session->owner(Direction::down));
  const std::uint64_t owner = session->owner(Direction::down);
  keeper.leave();
  session.reset();
  pipe.reset();
  CHECK(table->session(0).generation != 0);
  CHECK(table->pipe(0).generation != 0);
  CHECK(table->pipe(0).owner == owner);
}

}  // namespace
}  // namespace sc::test
