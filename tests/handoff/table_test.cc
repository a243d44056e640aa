#include "handoff/table.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstring>
#include <set>
#include <thread>
#include <vector>

#include "support/catch.h"
#include "support/fake_fd_store.h"
#include "support/temp_dir.h"

namespace sc::test {
namespace {

using handoff::Table;
using handoff::TableHeader;

std::unique_ptr<Table> make_table(std::uint32_t sessions = 16) {
  auto table = Table::make(sessions);
  REQUIRE(table);
  return std::move(*table);
}

base::Result<std::unique_ptr<Table>> adopt(const Table& former) {
  return Table::adopt(FakeFdStore::copy_of(former.fd()));
}

base::Fd memory_file(std::size_t size) {
  base::Fd file(::memfd_create("test-table", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  REQUIRE(file);
  REQUIRE(::ftruncate(file.get(), static_cast<off_t>(size)) == 0);
  return file;
}

template <class T>
void put(const base::Fd& file, std::size_t at, const T& value) {
  REQUIRE(::pwrite(file.get(), &value, sizeof value, static_cast<off_t>(at)) == sizeof value);
}

// A whole one whose bytes a test may spoil, `longer` bytes longer.
base::Fd table_file(std::size_t longer = 0) {
  const auto table = make_table();
  const auto size = static_cast<std::size_t>(::lseek(table->fd(), 0, SEEK_END));
  std::vector<std::byte> bytes(size);
  REQUIRE(::pread(table->fd(), bytes.data(), size, 0) == static_cast<ssize_t>(size));
  base::Fd file = memory_file(size + longer);
  REQUIRE(::pwrite(file.get(), bytes.data(), size, 0) == static_cast<ssize_t>(size));
  return file;
}

TEST_CASE("the next process finds in the table what the former one wrote") {
  auto table = make_table();
  const auto slot = table->take_session();
  REQUIRE(slot);
  table->session(*slot).port = 9000;
  table->session(*slot).generation = table->new_generation();
  const auto pipe = table->take_pipe();
  REQUIRE(pipe);
  table->pipe(*pipe).owner = 77;
  const base::Fd file = FakeFdStore::copy_of(table->fd());
  const std::uint64_t generation = table->session(*slot).generation;
  table.reset();

  auto next = Table::adopt(FakeFdStore::copy_of(file.get()));
  REQUIRE(next);
  CHECK((*next)->session(*slot).port == 9000);
  CHECK((*next)->session(*slot).generation == generation);
  CHECK((*next)->pipe(*pipe).owner == 77);
  CHECK((*next)->session_slots() == 16);
  CHECK((*next)->pipe_slots() == 32);
}

TEST_CASE("a table has a least and a most number of slots") {
  CHECK(make_table(0)->session_slots() == 16);
  CHECK(make_table(17)->session_slots() == 18);
  CHECK(make_table(~0U)->session_slots() == Table::kMostSessions);
}

TEST_CASE("a table's file keeps its size, whoever has it") {
  const auto table = make_table();
  CHECK(::ftruncate(table->fd(), 0) != 0);
  CHECK(::ftruncate(table->fd(), 1 << 20) != 0);
}

TEST_CASE("a table of a newer version is refused by its number and left as it is") {
  const base::Fd file = table_file();
  put(file, offsetof(TableHeader, version), handoff::kVersion + 1);
  put(file, offsetof(TableHeader, starts), std::uint64_t{41});
  const auto adopted = Table::adopt(FakeFdStore::copy_of(file.get()));
  REQUIRE_FALSE(adopted);
  CHECK(adopted.error().code == base::Errc::invalid);
  CHECK(adopted.error().message.find(std::to_string(handoff::kVersion + 1)) != std::string::npos);
  std::uint64_t starts = 0;
  REQUIRE(::pread(file.get(), &starts, sizeof starts, offsetof(TableHeader, starts)) ==
          sizeof starts);
  CHECK(starts == 41);
}

TEST_CASE("what is damaged is no table") {
  struct Damage {
    std::size_t at;
    std::uint32_t value;
  };
  const auto damage = GENERATE(
      Damage{offsetof(TableHeader, magic), 7}, Damage{offsetof(TableHeader, version), 0},
      Damage{offsetof(TableHeader, session_stride), 64},
      Damage{offsetof(TableHeader, session_stride), 129},
      Damage{offsetof(TableHeader, pipe_stride), 8}, Damage{offsetof(TableHeader, pipe_stride), 17},
      Damage{offsetof(TableHeader, session_slots), 17},
      Damage{offsetof(TableHeader, session_slots), ~0U},
      Damage{offsetof(TableHeader, pipe_slots), 31},
      Damage{offsetof(TableHeader, sessions_used), 17},
      Damage{offsetof(TableHeader, pipes_used), 33}, Damage{offsetof(TableHeader, copy_slots), 0},
      Damage{offsetof(TableHeader, copy_slots), Table::kCopySlots + 1},
      Damage{offsetof(TableHeader, copies_used), Table::kCopySlots + 1},
      Damage{offsetof(TableHeader, copy_stride), 64},
      Damage{offsetof(TableHeader, copy_stride), sizeof(handoff::CopySlot) + 32});
  base::Fd file = table_file();
  put(file, damage.at, damage.value);
  const auto adopted = Table::adopt(std::move(file));
  REQUIRE_FALSE(adopted);
  CHECK(adopted.error().code == base::Errc::invalid);
}

TEST_CASE("a file of another size than its table says is refused") {
  CHECK(Table::adopt(table_file()));
  CHECK_FALSE(Table::adopt(table_file(8)));
  CHECK_FALSE(Table::adopt(memory_file(0)));
  CHECK_FALSE(Table::adopt(memory_file(sizeof(TableHeader) - 1)));
  CHECK_FALSE(Table::adopt(memory_file(4096)));
}

TEST_CASE("a table whose places for messages would not be aligned is refused") {
  const auto adopt_with = [](std::uint32_t pipe_slots) {
    base::Fd file = table_file(sizeof(handoff::PipeSlot));
    put(file, offsetof(TableHeader, pipe_slots), pipe_slots);
    put(file, offsetof(TableHeader, pipe_stride), std::uint32_t{sizeof(handoff::PipeSlot) + 8});
    const std::size_t size = sizeof(TableHeader) + 16 * sizeof(handoff::SessionSlot) +
                             pipe_slots * (sizeof(handoff::PipeSlot) + 8) +
                             Table::kCopySlots * sizeof(handoff::CopySlot);
    REQUIRE(::ftruncate(file.get(), static_cast<off_t>(size)) == 0);
    return Table::adopt(std::move(file)).has_value();
  };
  CHECK_FALSE(adopt_with(31));
  CHECK(adopt_with(32));  // 24 bytes each: aligned
}

TEST_CASE("a table that is handed over can be truncated by nobody once it is adopted") {
  base::Fd file = table_file();
  const base::Fd other = FakeFdStore::copy_of(file.get());
  REQUIRE(Table::adopt(std::move(file)));
  CHECK(::ftruncate(other.get(), 0) != 0);
  CHECK(::ftruncate(other.get(), 1 << 24) != 0);
}

TEST_CASE("a table that cannot be sealed is refused") {
  const base::Fd whole = table_file();
  const auto size = static_cast<std::size_t>(::lseek(whole.get(), 0, SEEK_END));
  std::vector<std::byte> bytes(size);
  REQUIRE(::pread(whole.get(), bytes.data(), size, 0) == static_cast<ssize_t>(size));
  base::Fd unsealable(::memfd_create("test-table", MFD_CLOEXEC));
  REQUIRE(::pwrite(unsealable.get(), bytes.data(), size, 0) == static_cast<ssize_t>(size));
  const TempDir folder;
  base::Fd plain(::open((folder.path() / "table").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  REQUIRE(::pwrite(plain.get(), bytes.data(), size, 0) == static_cast<ssize_t>(size));
  for (base::Fd* file : {&unsealable, &plain}) {
    const auto adopted = Table::adopt(std::move(*file));
    REQUIRE_FALSE(adopted);
    CHECK(adopted.error().code == base::Errc::invalid);
    CHECK_THAT(adopted.error().message, Catch::Contains("sealed"));
  }
}

TEST_CASE("a table whose counts would soon begin again at 0 is refused") {
  for (const std::size_t at :
       {offsetof(TableHeader, next_generation), offsetof(TableHeader, next_capsule)}) {
    base::Fd file = table_file();
    put(file, at, ~std::uint64_t{0});
    CHECK_FALSE(Table::adopt(std::move(file)));
  }
}

TEST_CASE("what is no file is no table") {
  std::array<int, 2> ends{};
  REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
  const base::Fd out(ends[0]);
  const auto adopted = Table::adopt(base::Fd(ends[1]));
  REQUIRE_FALSE(adopted);
  CHECK(adopted.error().code == base::Errc::invalid);
}

TEST_CASE("a table that began before there were places for messages on their way has none") {
  base::Fd file = memory_file(sizeof(TableHeader) + 16 * sizeof(handoff::SessionSlot) +
                              32 * sizeof(handoff::PipeSlot));
  put(file, offsetof(TableHeader, magic), handoff::kMagic);
  put(file, offsetof(TableHeader, version), std::uint32_t{2});
  put(file, offsetof(TableHeader, session_stride), std::uint32_t{sizeof(handoff::SessionSlot)});
  put(file, offsetof(TableHeader, pipe_stride), std::uint32_t{sizeof(handoff::PipeSlot)});
  put(file, offsetof(TableHeader, session_slots), std::uint32_t{16});
  put(file, offsetof(TableHeader, pipe_slots), std::uint32_t{32});
  put(file, offsetof(TableHeader, next_generation), std::uint64_t{1});
  const auto adopted = Table::adopt(std::move(file));
  REQUIRE(adopted);
  CHECK((*adopted)->copy_slots() == 0);
  CHECK((*adopted)->take_copy(0) == nullptr);
  CHECK((*adopted)->header().version == handoff::kVersion);
}

TEST_CASE("each worker has a place for a message on its way, as many as there can be") {
  const auto table = make_table();
  CHECK(table->header().copies_used == 0);
  CHECK(table->take_copy(2) == &table->copy(2));
  CHECK(table->header().copies_used == 3);
  CHECK(table->take_copy(0) == &table->copy(0));
  CHECK(table->header().copies_used == 3);
  CHECK(table->take_copy(Table::kCopySlots - 1) != nullptr);
  CHECK(table->take_copy(Table::kCopySlots) == nullptr);
}

TEST_CASE("a place for a message on its way is nobody else's memory") {
  const auto table = make_table();
  REQUIRE(table->copy_slots() == Table::kCopySlots);
  std::memset(table->copy(0).bytes, 0xAA, sizeof(handoff::CopySlot::bytes));
  std::memset(table->copy(Table::kCopySlots - 1).bytes, 0xBB, sizeof(handoff::CopySlot::bytes));
  CHECK(table->pipe(31).owner == 0);
  CHECK(table->copy(1).owner == 0);
  table->pipe(31).owner = 5;
  CHECK(table->copy(0).owner == 0);
  CHECK(reinterpret_cast<std::uintptr_t>(&table->copy(1)) % alignof(handoff::CopySlot) == 0);
}

TEST_CASE("slots that are longer than this binary's are found by the table's own stride") {
  constexpr std::uint32_t kSessionStride = 192;
  constexpr std::uint32_t kPipeStride = 32;
  constexpr std::size_t kPipes = sizeof(TableHeader) + std::size_t{4} * kSessionStride;
  base::Fd file = memory_file(kPipes + std::size_t{8} * kPipeStride);
  put(file, offsetof(TableHeader, magic), handoff::kMagic);
  put(file, offsetof(TableHeader, version), handoff::kVersion);
  put(file, offsetof(TableHeader, session_stride), kSessionStride);
  put(file, offsetof(TableHeader, pipe_stride), kPipeStride);
  put(file, offsetof(TableHeader, session_slots), std::uint32_t{4});
  put(file, offsetof(TableHeader, pipe_slots), std::uint32_t{8});
  put(file, offsetof(TableHeader, next_generation), std::uint64_t{1});
  put(file, sizeof(TableHeader) + 3 * kSessionStride + offsetof(handoff::SessionSlot, port),
      std::uint16_t{9003});
  put(file, kPipes + std::size_t{7} * kPipeStride + offsetof(handoff::PipeSlot, owner),
      std::uint64_t{5});
  auto adopted = Table::adopt(std::move(file));
  REQUIRE(adopted);
  CHECK((*adopted)->session(3).port == 9003);
  CHECK((*adopted)->pipe(7).owner == 5);
}

TEST_CASE("each slot is given out once until it comes back") {
  const auto table = make_table();
  std::set<std::uint32_t> taken;
  while (const auto slot = table->take_session()) CHECK(taken.insert(*slot).second);
  CHECK(taken.size() == 16);
  table->give_session(5);
  CHECK(table->take_session() == 5U);
  CHECK_FALSE(table->take_session());

  std::size_t pipes = 0;
  while (table->take_pipe()) ++pipes;
  CHECK(pipes == 32);
  table->give_pipe(31);
  CHECK(table->take_pipe() == 31U);
}

TEST_CASE("threads that take slots at once get different ones") {
  const auto table = make_table(1000);
  std::array<std::vector<std::uint32_t>, 4> taken;
  std::vector<std::thread> threads;
  for (auto& mine : taken)
    threads.emplace_back([&] {
      for (int i = 0; i < 250; ++i)
        if (const auto slot = table->take_session()) mine.push_back(*slot);
    });
  for (std::thread& thread : threads) thread.join();
  std::set<std::uint32_t> all;
  for (const auto& mine : taken) all.insert(mine.begin(), mine.end());
  CHECK(all.size() == 1000);
}

TEST_CASE("the next process has all slots but those that somebody still has") {
  const auto table = make_table();
  for (int i = 0; i < 6; ++i) {
    const auto slot = table->take_session();
    table->session(*slot).generation = table->new_generation();
    const auto pipe = table->take_pipe();
    table->pipe(*pipe).generation = table->new_generation();
  }
  const auto next = adopt(*table);
  REQUIRE(next);
  std::vector<bool> sessions(6);
  std::vector<bool> pipes(6);
  sessions[4] = true;
  pipes[0] = true;
  (*next)->free_all_but(sessions, pipes);
  CHECK((*next)->session(4).generation != 0);
  CHECK((*next)->session(3).generation == 0);
  CHECK((*next)->pipe(0).generation != 0);
  CHECK((*next)->pipe(1).generation == 0);

  std::set<std::uint32_t> taken;
  while (const auto slot = (*next)->take_session()) taken.insert(*slot);
  CHECK(taken.size() == 15);
  CHECK_FALSE(taken.contains(4));
  CHECK((*next)->take_pipe() == 1U);  // the lowest first, so that the table stays small
}

TEST_CASE("a generation comes once in all processes and is never 0") {
  auto table = make_table();
  std::set<std::uint64_t> seen{0};
  for (int process = 0; process < 3; ++process) {
    for (int i = 0; i < 100; ++i) CHECK(seen.insert(table->new_generation()).second);
    auto next = adopt(*table);
    REQUIRE(next);
    table = std::move(*next);
  }
}

TEST_CASE("an owner's word holds its slot, its direction and its generation") {
  using handoff::Direction;
  using handoff::PipeOwner;
  const std::uint32_t last = Table::kMostSessions - 1;
  const std::uint64_t word = PipeOwner::pack(last, Direction::down, 12);
  CHECK(PipeOwner::slot(word) == last);
  CHECK(PipeOwner::direction(word) == Direction::down);
  CHECK(PipeOwner::direction(PipeOwner::pack(last, Direction::up, 12)) == Direction::up);
  CHECK(word != PipeOwner::pack(last, Direction::down, 13));
  CHECK(PipeOwner::pack(0, Direction::up, 1) != 0);
}

}  // namespace
}  // namespace sc::test
