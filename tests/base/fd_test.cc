#include "base/fd.h"

#include <fcntl.h>

#include <cerrno>
#include <type_traits>

#include "support/catch.h"

namespace sc::test {
namespace {

using base::Fd;

static_assert(!std::is_copy_constructible_v<Fd> && !std::is_copy_assignable_v<Fd>);
static_assert(std::is_nothrow_move_constructible_v<Fd> && std::is_nothrow_move_assignable_v<Fd>);

int open_null() { return ::open("/dev/null", O_RDONLY | O_CLOEXEC); }
bool is_open(int fd) { return ::fcntl(fd, F_GETFD) != -1 || errno != EBADF; }

TEST_CASE("a descriptor is closed when its owner dies") {
  const int raw = open_null();
  {
    const Fd fd(raw);
    CHECK(fd);
    CHECK(fd.get() == raw);
  }
  CHECK_FALSE(is_open(raw));
}

TEST_CASE("an owner of nothing is false and says -1") {
  const Fd none;
  CHECK_FALSE(none);
  CHECK(none.get() == -1);
}

TEST_CASE("a moved descriptor has one owner") {
  const int raw = open_null();
  Fd first(raw);
  const Fd second(std::move(first));
  CHECK_FALSE(first);  // NOLINT: moved from on purpose
  CHECK(second.get() == raw);
  CHECK(is_open(raw));
}

TEST_CASE("assigning over a descriptor closes the old one") {
  const int old_raw = open_null();
  const int new_raw = open_null();
  Fd fd(old_raw);
  fd = Fd(new_raw);
  CHECK_FALSE(is_open(old_raw));
  CHECK(is_open(new_raw));
  CHECK(fd.get() == new_raw);
}

TEST_CASE("assigning a descriptor to itself keeps it open") {
  Fd fd(open_null());
  Fd& same = fd;
  fd = std::move(same);
  CHECK(is_open(fd.get()));
}

TEST_CASE("a released descriptor stays open") {
  Fd fd(open_null());
  const int raw = fd.release();
  CHECK_FALSE(fd);
  CHECK(is_open(raw));
  fd.reset(raw);
  fd.reset();
  CHECK_FALSE(is_open(raw));
}

}  // namespace
}  // namespace sc::test
