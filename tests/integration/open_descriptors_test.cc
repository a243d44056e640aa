#include "open_descriptors.h"

#include <fcntl.h>

#include <vector>

#include "base/fd.h"
#include "support/catch.h"
#include "support/fd_count.h"

namespace sc::test {
namespace {

// Folders that have an entry for each descriptor: of the second the kernel does not tell the size,
// as of both before Linux 6.2.
const char* const kFolders[] = {"/proc/self/fd", "/proc/self/fdinfo"};

std::uint64_t count_in(const char* folder) {
  OpenDescriptors open;
  open.begin(folder);
  while (!open.step()) {
  }
  return open.count();
}

TEST_CASE("all open descriptors are counted, however the kernel tells them") {
  const std::size_t before = fd_count();
  std::vector<base::Fd> more;
  for (int i = 0; i < 50; ++i) more.emplace_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  for (const char* folder : kFolders) {
    INFO(folder);
    CHECK(count_in(folder) == before + 50);
  }
  more.clear();
  for (const char* folder : kFolders) CHECK(count_in(folder) == before);
}

TEST_CASE("many descriptors are listed in steps, and the last number stands meanwhile") {
  std::vector<base::Fd> many;
  for (int i = 0; i < OpenDescriptors::kStep; ++i)
    many.emplace_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  REQUIRE(many.back());
  OpenDescriptors open;
  open.begin("/proc/self/fdinfo");
  CHECK_FALSE(open.step());
  CHECK(open.count() == 0);
  open.begin("/proc/self/fdinfo");  // goes on
  CHECK(open.step());
  CHECK(open.count() == fd_count());
  open.begin("/nowhere");
  CHECK(open.step());
}

}  // namespace
}  // namespace sc::test
