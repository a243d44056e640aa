#include "net/spare_sockets.h"

#include "net/socket.h"
#include "support/catch.h"
#include "support/fd_count.h"
#include "support/full_fd_table.h"

namespace sc::test {
namespace {

int family_of(const base::Fd& socket) { return net::local_address(socket.get()).family(); }

TEST_CASE("a spare socket is of the family that was asked for") {
  net::SpareSockets spares;
  const int family = GENERATE(AF_INET, AF_INET6);
  for (int i = 0; i < 2; ++i) {
    const base::Fd socket = spares.take(family);
    REQUIRE(socket);
    CHECK(family_of(socket) == family);
    spares.refill();
  }
}

TEST_CASE("nothing is made ahead for a family that nobody has asked for") {
  const std::size_t before = fd_count();
  net::SpareSockets spares;
  spares.refill();
  CHECK(fd_count() == before);
  spares.take(AF_INET);
  spares.refill();
  spares.refill();
  CHECK(fd_count() == before + 1);
}

TEST_CASE("what was made ahead is there when the host has no descriptor left, and no more") {
  net::SpareSockets spares;
  spares.take(AF_INET);
  spares.refill();
  const FullFdTable full;
  const base::Fd ahead = spares.take(AF_INET);
  CHECK(ahead);
  CHECK_FALSE(spares.take(AF_INET));
}

}  // namespace
}  // namespace sc::test
