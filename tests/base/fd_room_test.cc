#include "base/fd_room.h"

#include <dirent.h>
#include <sys/resource.h>

#include <fstream>
#include <memory>
#include <string>

#include "support/catch.h"

namespace sc::test {
namespace {

// What the kernel has room for.
std::size_t fd_room() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;)
    if (word == "FDSize:" && status >> word) return std::stoul(word);
  FAIL("no FDSize");
  return 0;
}

std::size_t open_fds() {
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir("/proc/self/fd"), &::closedir);
  REQUIRE(folder);
  std::size_t count = 0;
  while (::readdir(folder.get()) != nullptr) ++count;
  return count;
}

struct DescriptorLimit {
  rlimit before{};
  explicit DescriptorLimit(rlim_t soft) {
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    const rlimit now{soft, before.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &now) == 0);
  }
  ~DescriptorLimit() { ::setrlimit(RLIMIT_NOFILE, &before); }
};

TEST_CASE("room for descriptors is made ahead and takes none, however many are asked for") {
  const DescriptorLimit limit(1000);
  const std::size_t open = open_fds();
  base::make_fd_room(600);
  CHECK(fd_room() >= 600);
  base::make_fd_room(1'000'000'000'000);
  CHECK(fd_room() >= 1000);
  base::make_fd_room(1);
  CHECK(fd_room() >= 1000);
  CHECK(open_fds() == open);
}

}  // namespace
}  // namespace sc::test
