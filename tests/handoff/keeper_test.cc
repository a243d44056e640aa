#include "handoff/keeper.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <set>
#include <thread>

#include "handoff/fixture.h"
#include "support/full_fd_table.h"
#include "systemd/child.h"

namespace sc::test {
namespace {

using handoff::Keeper;
using handoff::Kept;
using handoff::Record;
using handoff::RecordKind;
using handoff::Trouble;

using Held = std::map<std::uint32_t, std::unique_ptr<Kept>>;  // by slot

struct KeeperFixture {
  FakeFdStore manager;
  handoff::StoreLink link = manager.link();
  std::unique_ptr<handoff::Table> table = std::move(*handoff::Table::make(16));
  handoff::KeepCounters counters;
  std::unique_ptr<Keeper> keeper = make();
  base::Fd pipe = make_pipe();
  std::atomic<bool> is_reading{false};

  std::unique_ptr<Keeper> make(bool eager = false) {
    return std::make_unique<Keeper>(link, *table, counters, "0", eager);
  }
  static Record record(std::uint32_t slot) { return {slot, RecordKind::pipe, 1, 0, slot + 1}; }
  std::unique_ptr<Kept> keep(std::uint32_t slot) {
    const std::array<int, 1> fds{pipe.get()};
    return keeper->keep(record(slot), fds);
  }
  Held keep_many(std::uint32_t from, std::size_t count) {
    Held held;
    for (std::uint32_t slot = from; held.size() < count; ++slot) {
      held[slot] = keep(slot);
      REQUIRE(held[slot]);
    }
    return held;
  }
  std::multiset<std::uint32_t> stored() const {
    std::multiset<std::uint32_t> slots;
    for (const handoff::StoredFd& each : manager.passed())
      for (const auto& found : handoff::look_into(each.fd.get())) slots.insert(found.record.slot);
    return slots;
  }
};

TEST_CASE_METHOD(KeeperFixture, "what is kept is in the manager's store") {
  const Held held = keep_many(0, 3);
  CHECK(manager.names() == std::vector<std::string>{"c0-1"});
  CHECK(stored() == std::multiset<std::uint32_t>{0, 1, 2});
  CHECK(held.at(1)->is_held());
  CHECK(held.at(1)->record().slot == 1);
  CHECK(keeper->trouble() == Trouble::none);
}

TEST_CASE_METHOD(KeeperFixture, "the manager is asked once for many") {
  const Held held = keep_many(0, Keeper::kMostRecords + 1);
  CHECK(manager.times_asked() == 2);
  CHECK(stored().size() == held.size());
}

TEST_CASE_METHOD(KeeperFixture, "a capsule in which nothing lives is given up once it is full") {
  Held first = keep_many(0, Keeper::kMostRecords);
  first.clear();
  CHECK(manager.capsules() == 1);  // it takes records still
  const Held second = keep_many(1000, 1);
  CHECK(manager.names() == std::vector<std::string>{"c0-2"});
  CHECK(stored() == std::multiset<std::uint32_t>{1000});
}

TEST_CASE_METHOD(KeeperFixture, "a capsule of which many have ended takes no more") {
  Held passing = keep_many(0, Keeper::kManyEnded);
  const Held beside = keep_many(500, Keeper::kManyEnded / 2);
  passing.clear();
  const auto next = keep(1000);
  CHECK(manager.names() == std::vector<std::string>{"c0-1", "c0-2"});
  const Held later = keep_many(2000, Keeper::kMostRecords);
  CHECK(manager.names() == std::vector<std::string>{"c0-2", "c0-3"});  // with what had not ended
  for (const auto& [slot, kept] : beside) {
    CHECK(kept->is_held());
    CHECK(stored().count(slot) == 1);
  }
}

TEST_CASE_METHOD(KeeperFixture, "a capsule in which few live takes more, however many have ended") {
  const Held beside = keep_many(500, Keeper::kManyEnded / 2 - 1);
  constexpr std::uint32_t kPassing = 100;
  for (std::uint32_t i = 0; i < kPassing; ++i) REQUIRE(keep(1000 + i));  // one at a time
  CHECK(manager.names() == std::vector<std::string>{"c0-1"});
}

TEST_CASE_METHOD(KeeperFixture,
                 "a capsule into which much has moved takes more before it is full") {
  const Held long_lived = keep_many(0, 20);
  constexpr std::uint32_t kPassing = 10'000;
  for (std::uint32_t i = 0; i < kPassing; ++i) REQUIRE(keep(1000 + i));
  CHECK(manager.times_asked() < 100);
  const auto slots = stored();
  for (const auto& [slot, kept] : long_lived) CHECK(slots.count(slot) == 1);
}

TEST_CASE_METHOD(KeeperFixture, "a client that was just accepted waits for no other capsule") {
  const Held beside = keep_many(500, Keeper::kManyEnded / 2);
  keep_many(0, Keeper::kManyEnded).clear();
  const auto kind = GENERATE(RecordKind::client, RecordKind::dialing);
  const std::array<int, 1> fds{pipe.get()};
  const auto keep_client = [&](std::uint32_t slot) {
    auto kept = keeper->keep({slot, kind, 1, 0, slot + 1}, fds);
    REQUIRE(kept);
    return kept;
  };
  const auto client = keep_client(1000);
  CHECK(manager.names() == std::vector<std::string>{"c0-1"});
  keeper->prepare();
  CHECK(manager.names() == std::vector<std::string>{"c0-1", "c0-2"});
  const auto next = keep_client(1001);
  CHECK(manager.times_asked() == 2);
}

TEST_CASE_METHOD(KeeperFixture, "another capsule is asked for ahead once this one is full") {
  Held held = keep_many(0, Keeper::kMostRecords - 1);
  keeper->prepare();
  CHECK(manager.times_asked() == 1);
  held[1000] = keep(1000);
  keeper->prepare();
  CHECK(manager.times_asked() == 2);
  manager.refuse(true);  // does without it
  CHECK(keep(1001));
}

TEST_CASE_METHOD(KeeperFixture, "of a capsule that is mostly dead the living ones move on") {
  Held held = keep_many(0, Keeper::kMostRecords);
  const Held later = keep_many(1000, Keeper::kMostRecords + 1);
  while (held.size() > 32) held.erase(held.begin());
  CHECK(manager.capsules() == 3);
  CHECK(stored().size() == 2 * Keeper::kMostRecords + 1);
  held.erase(held.begin());  // fewer than a quarter live
  CHECK(manager.names() == std::vector<std::string>{"c0-2", "c0-3"});
  const auto slots = stored();
  CHECK(slots.size() == later.size() + 31);
  for (const auto& [slot, kept] : held) {
    CHECK(kept->is_held());
    CHECK(slots.count(slot) == 1);
  }
}

TEST_CASE_METHOD(KeeperFixture, "what lives in a capsule that has just become full may end there") {
  Held held = keep_many(0, Keeper::kMostRecords);
  const Held later = keep_many(1000, 1);
  while (held.size() > 1) held.erase(held.begin());
  CHECK(manager.capsules() == 2);
  CHECK(stored().size() == Keeper::kMostRecords + 1);
  held.clear();
  CHECK(manager.names() == std::vector<std::string>{"c0-2"});
  CHECK(stored() == std::multiset<std::uint32_t>{1000});
}

TEST_CASE_METHOD(KeeperFixture, "what has not ended when the next capsule is full moves on") {
  Held held = keep_many(0, Keeper::kMostRecords);
  while (held.size() > 1) held.erase(held.begin());
  const Held later = keep_many(1000, Keeper::kMostRecords);
  CHECK(manager.capsules() == 2);
  const Held last = keep_many(2000, 1);
  CHECK(manager.names() == std::vector<std::string>{"c0-2", "c0-3"});
  CHECK(held.begin()->second->is_held());
  CHECK(stored().count(held.begin()->first) == 1);
}

TEST_CASE_METHOD(KeeperFixture, "however much comes and goes, few capsules hold what lives") {
  const Held long_lived = keep_many(0, 40);
  std::size_t most = 0;
  for (std::uint32_t round = 1; round < 40; ++round) {
    const Held passing = keep_many(round * 1000, 100);
    most = std::max(most, manager.capsules());
  }
  CHECK(most <= 4);
  const auto slots = stored();
  for (const auto& [slot, kept] : long_lived) CHECK(slots.count(slot) == 1);
}

TEST_CASE_METHOD(KeeperFixture, "what is replaced is kept as the new record") {
  const auto kept = keep(1);
  const base::Fd other = make_pipe("x");
  const std::array<int, 2> both{pipe.get(), other.get()};
  CHECK(keeper->replace(*kept, Record{1, RecordKind::session, 1, 0, 2}, both));
  CHECK(kept->record().kind == RecordKind::session);
  const auto found = handoff::look_into(manager.passed()[0].fd.get());
  REQUIRE(found.size() == 2);
  CHECK(found[1].record.kind == RecordKind::session);
  CHECK(found[1].fds.size() == 2);
}

TEST_CASE_METHOD(KeeperFixture, "what cannot be replaced stays kept as it was") {
  const Held held = keep_many(0, Keeper::kMostRecords);
  manager.refuse(true);
  const std::array<int, 2> both{pipe.get(), pipe.get()};
  CHECK_FALSE(keeper->replace(*held.at(1), Record{1, RecordKind::session, 1, 0, 2}, both));
  CHECK(held.at(1)->is_held());
  CHECK(held.at(1)->record().kind == RecordKind::pipe);
  CHECK(stored().count(1) == 1);
}

TEST_CASE_METHOD(KeeperFixture, "a manager whose store is full is found out and asked seldom") {
  manager.refuse(true);
  CHECK_FALSE(keep(0));
  CHECK(keeper->trouble() == Trouble::store_refused);
  for (unsigned i = 0; i < Keeper::kRefusedCalls; ++i) CHECK_FALSE(keep(1));
  CHECK(manager.times_asked() == 1);
  manager.refuse(false);
  const auto kept = keep(2);
  CHECK(kept);
  CHECK(keeper->trouble() == Trouble::none);
  CHECK(stored() == std::multiset<std::uint32_t>{2});
}

TEST_CASE_METHOD(KeeperFixture, "without a manager nothing is kept") {
  manager.vanish();
  CHECK_FALSE(keep(0));
  CHECK(keeper->trouble() == Trouble::no_store);
}

TEST_CASE_METHOD(KeeperFixture, "what was in a capsule that the manager let fall is not kept") {
  const Held held = keep_many(0, 3);
  manager.remove("c0-1");
  CHECK_FALSE(keep(3));
  CHECK(keeper->trouble() == Trouble::store_refused);
  for (const auto& [slot, kept] : held) CHECK_FALSE(kept->is_held());
}

TEST_CASE_METHOD(KeeperFixture, "an eager keeper's store has what lives alone after a flush") {
  keeper = make(true);
  Held held = keep_many(0, 3);
  held.erase(1);
  CHECK(stored() == std::multiset<std::uint32_t>{0, 1, 2});
  keeper->flush();
  CHECK(stored() == std::multiset<std::uint32_t>{0, 2});
  CHECK(manager.capsules() == 1);
  held.clear();
  keeper->flush();
  CHECK(manager.names().empty());
}

TEST_CASE_METHOD(KeeperFixture,
                 "an eager keeper that cannot move what lives keeps it where it is") {
  keeper = make(true);
  Held held = keep_many(0, 3);
  held.erase(1);
  manager.refuse(true);
  keeper->flush();
  CHECK(held.at(0)->is_held());
  CHECK(held.at(2)->is_held());
  CHECK(stored() == std::multiset<std::uint32_t>{0, 1, 2});
}

TEST_CASE_METHOD(KeeperFixture, "a keeper that has left lets nothing go") {
  Held held = keep_many(0, Keeper::kMostRecords + 1);
  keeper->leave();
  CHECK(keeper->is_leaving());
  held.clear();
  keeper.reset();
  CHECK(stored().size() == Keeper::kMostRecords + 1);
}

TEST_CASE_METHOD(KeeperFixture, "a former process's capsule goes on and is given up like others") {
  Held former = keep_many(0, Keeper::kMostRecords);
  keeper->leave();
  former.clear();
  keeper = make();

  keeper->begin_adopting();
  std::vector<Keeper::Found> living;
  for (std::uint32_t slot = 0; slot < Keeper::kMostRecords; slot += 2)
    living.push_back({record(slot), {pipe.get(), -1}, 1});
  auto adopted = keeper->adopt("c0-1", Keeper::kMostRecords, living);
  REQUIRE(adopted.size() == Keeper::kMostRecords / 2);
  CHECK(adopted[1]->record().slot == 2);
  keeper->flush();
  CHECK(manager.names() == std::vector<std::string>{"c0-1"});
  adopted.resize(Keeper::kMostRecords / 4 - 1);
  CHECK(manager.names() == std::vector<std::string>{"c0-2"});
  CHECK(stored().size() == adopted.size());
  adopted.clear();
}

TEST_CASE_METHOD(KeeperFixture, "former processes' capsules that were not full go together") {
  keeper = make(GENERATE(false, true));
  keeper->begin_adopting();
  std::vector<std::unique_ptr<Kept>> adopted;
  for (std::uint32_t slot = 0; slot < 5; ++slot) {
    const std::string name = "c0-9" + std::to_string(slot);
    manager.link().put(name, pipe.get());
    for (auto& each : keeper->adopt(name, 1, {{record(slot), {pipe.get(), -1}, 1}}))
      adopted.push_back(std::move(each));
  }
  CHECK(manager.capsules() == 5);
  keeper->flush();
  CHECK(manager.names() == std::vector<std::string>{"c0-1"});
  CHECK(stored() == std::multiset<std::uint32_t>{0, 1, 2, 3, 4});
}

TEST_CASE_METHOD(KeeperFixture, "nothing moves while a former process's capsules are looked into") {
  Held former = keep_many(0, 5);
  keeper->leave();
  former.clear();
  keeper = make();
  keeper->begin_adopting();
  auto adopted = keeper->adopt("c0-1", 5, {{record(0), {pipe.get(), -1}, 1}});
  adopted.clear();
  CHECK(stored().size() == 5);
  keeper->flush();
  CHECK(manager.names().empty());
}

TEST_CASE_METHOD(KeeperFixture, "without a descriptor for a capsule nothing is kept for now") {
  {
    const FullFdTable full;
    CHECK_FALSE(keep(0));
    CHECK(keeper->trouble() == Trouble::host);
    CHECK(manager.names().empty());
  }
  CHECK(keep(0));
  CHECK(keeper->trouble() == Trouble::none);
}

// unix(7): ETOOMANYREFS, from which CAP_SYS_RESOURCE exempts.
TEST_CASE_METHOD(KeeperFixture, "at the kernel's limit of descriptors in flight nothing is kept") {
  const std::string answer = in_child([this] {
    if (::getuid() == 0 && ::setresuid(65'534, 65'534, 65'534) != 0)
      return std::string("setresuid");
    auto first = keep(0);
    rlimit low{};
    ::getrlimit(RLIMIT_NOFILE, &low);
    low.rlim_cur = 16;
    ::setrlimit(RLIMIT_NOFILE, &low);
    Held held;
    for (std::uint32_t slot = 1; slot < 100; ++slot) {
      held[slot] = keep(slot);
      if (held[slot]) continue;
      return std::string(handoff::to_string(keeper->trouble())) +
             (first && first->is_held() ? ", the first one is kept" : "");
    }
    return std::string("no limit");
  });
  CHECK(answer == "in_flight_limit, the first one is kept");
}

TEST_CASE_METHOD(KeeperFixture,
                 "a manager that does not read keeps nothing, and is not waited for") {
  Held held = keep_many(0, Keeper::kMostRecords);  // the next one needs a capsule
  const std::size_t before = manager.times_asked();
  manager.pause(true);
  CHECK_FALSE(keep(200));
  CHECK(keeper->trouble() == Trouble::no_store);
  CHECK(manager.times_asked() == before);  // that it is busy is known without asking
  CHECK(keeper->take_missed());
  CHECK_FALSE(keeper->take_missed());
  held.clear();  // the removal of the capsule waits
  CHECK(manager.capsules() == 1);

  manager.pause(false);
  CHECK(manager.capsules() == 0);
  CHECK(keep(200));
  CHECK(manager.capsules() == 1);
}

TEST_CASE_METHOD(KeeperFixture, "at a stop what is kept may wait for a manager, but not for ever") {
  manager.pause(true);
  keeper->set_patience(std::chrono::milliseconds{20});
  CHECK_FALSE(keep(0));
  std::thread reading([this] {
    while (!is_reading) std::this_thread::yield();
    manager.pause(false);
  });
  keeper->set_patience(std::chrono::minutes(1));
  is_reading = true;
  CHECK(keep(0));
  reading.join();
}

}  // namespace
}  // namespace sc::test
