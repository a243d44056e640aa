#include "handoff/capsule.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "support/catch.h"
#include "support/fake_fd_store.h"
#include "support/full_fd_table.h"

namespace sc::test {
namespace {

using handoff::Record;
using handoff::RecordKind;

struct PipeEnds {
  base::Fd out;
  base::Fd in;
};

PipeEnds make_pipe() {
  std::array<int, 2> ends{};
  REQUIRE(::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) == 0);
  return {base::Fd(ends[0]), base::Fd(ends[1])};
}

bool is_same_file(int one, int other) {
  struct stat a {};
  struct stat b {};
  return ::fstat(one, &a) == 0 && ::fstat(other, &b) == 0 && a.st_dev == b.st_dev &&
         a.st_ino == b.st_ino;
}

Record record(std::uint32_t slot) { return {slot, RecordKind::session, 1, 0, slot + 100}; }

int send(const base::Fd& inner, const Record& what, std::initializer_list<int> fds) {
  return handoff::send_record(inner.get(), what, {fds.begin(), fds.size()});
}

handoff::CapsuleEnds make() {
  auto ends = handoff::make_capsule();
  REQUIRE(ends);
  return std::move(*ends);
}

TEST_CASE("what went into a capsule is seen in its order, with its descriptors") {
  const auto ends = make();
  const PipeEnds pipe = make_pipe();
  const PipeEnds other = make_pipe();
  REQUIRE(send(ends.inner, record(1), {pipe.out.get(), pipe.in.get()}) == 0);
  REQUIRE(send(ends.inner, record(2), {other.in.get()}) == 0);

  const auto found = handoff::look_into(ends.outer.get());
  REQUIRE(found.size() == 2);
  CHECK(found[0].record.slot == 1);
  CHECK(found[0].record.generation == 101);
  CHECK(found[0].record.kind == RecordKind::session);
  REQUIRE(found[0].fds.size() == 2);
  REQUIRE(found[1].fds.size() == 1);
  CHECK(found[1].record.slot == 2);
  CHECK((::fcntl(found[0].fds[0].get(), F_GETFD) & FD_CLOEXEC) != 0);
  REQUIRE(::write(found[0].fds[1].get(), "x", 1) == 1);
  char got = 0;
  CHECK(::read(pipe.out.get(), &got, 1) == 1);
}

TEST_CASE("looking takes nothing out, whoever looks and however often") {
  auto ends = make();
  {
    const PipeEnds pipe = make_pipe();
    for (std::uint32_t i = 0; i < 3; ++i)
      REQUIRE(send(ends.inner, record(i), {pipe.out.get(), pipe.in.get()}) == 0);
  }
  const base::Fd second = FakeFdStore::copy_of(ends.outer.get());
  for (int i = 0; i < 3; ++i) {
    CHECK(handoff::look_into(ends.outer.get()).size() == 3);
    CHECK(handoff::look_into(second.get()).size() == 3);
  }
  // Also when the one who put it in has gone, and more came between two looks.
  const PipeEnds late = make_pipe();
  REQUIRE(send(ends.inner, record(3), {late.out.get()}) == 0);
  ends.inner.reset();
  const auto found = handoff::look_into(second.get());
  REQUIRE(found.size() == 4);
  CHECK(found[3].record.slot == 3);
}

TEST_CASE("a capsule alone keeps a pipe and its bytes") {
  const auto ends = make();
  {
    const PipeEnds pipe = make_pipe();
    REQUIRE(::write(pipe.in.get(), "kept", 4) == 4);
    REQUIRE(send(ends.inner, record(1), {pipe.out.get()}) == 0);
  }
  const auto found = handoff::look_into(ends.outer.get());
  REQUIRE(found.size() == 1);
  std::array<char, 8> bytes{};
  CHECK(::read(found[0].fds[0].get(), bytes.data(), bytes.size()) == 4);
  CHECK(std::string(bytes.data()) == "kept");
}

TEST_CASE("an empty capsule has nothing in it") {
  const auto ends = make();
  CHECK(handoff::look_into(ends.outer.get()).empty());
}

TEST_CASE("a capsule that is full says so and keeps what it has") {
  const auto ends = make();
  const PipeEnds pipe = make_pipe();
  std::uint32_t sent = 0;
  int error = 0;
  while (error == 0 && sent < 10'000) {
    error = send(ends.inner, record(sent), {pipe.out.get(), pipe.in.get()});
    if (error == 0) ++sent;
  }
  CHECK(error == EAGAIN);
  CHECK(sent >= 128);
  const auto found = handoff::look_into(ends.outer.get());
  REQUIRE(found.size() == sent);
  CHECK(found.back().record.slot == sent - 1);
}

TEST_CASE("a capsule that nobody holds takes nothing and is known by it") {
  auto ends = make();
  const PipeEnds pipe = make_pipe();
  CHECK_FALSE(handoff::is_hung_up(ends.inner.get()));
  {
    const base::Fd managers = std::move(ends.outer);
    CHECK_FALSE(handoff::is_hung_up(ends.inner.get()));
  }
  CHECK(handoff::is_hung_up(ends.inner.get()));
  CHECK(send(ends.inner, record(1), {pipe.out.get()}) == EPIPE);
}

TEST_CASE("what a capsule held alone is closed with it") {
  auto ends = make();
  const PipeEnds pipe = make_pipe();
  {
    const base::Fd in = FakeFdStore::copy_of(pipe.in.get());
    REQUIRE(send(ends.inner, record(1), {in.get()}) == 0);
    CHECK(is_same_file(handoff::look_into(ends.outer.get())[0].fds[0].get(), pipe.in.get()));
  }
  PipeEnds mine = make_pipe();
  REQUIRE(send(ends.inner, record(2), {mine.in.get()}) == 0);
  mine.in.reset();
  char nothing = 0;
  CHECK(::read(mine.out.get(), &nothing, 1) < 0);  // somebody could still write
  CHECK(errno == EAGAIN);
  ends.inner.reset();
  ends.outer.reset();
  CHECK(::read(mine.out.get(), &nothing, 1) == 0);
}

TEST_CASE("a looker without descriptors sees the records without them, and later with them") {
  const auto ends = make();
  const PipeEnds pipe = make_pipe();
  REQUIRE(send(ends.inner, record(1), {pipe.out.get(), pipe.in.get()}) == 0);
  {
    FullFdTable full;
    full.free(1);
    const auto found = handoff::look_into(ends.outer.get());
    REQUIRE(found.size() == 1);
    CHECK(found[0].fds.size() == 1);
  }
  CHECK(handoff::look_into(ends.outer.get())[0].fds.size() == 2);
}

}  // namespace
}  // namespace sc::test
