#include "net/tcp_facts.h"

#include <sys/socket.h>

#include <string>

#include "net/socket.h"
#include "support/catch.h"
#include "support/tcp_peer.h"

namespace sc::test {
namespace {

TEST_CASE("the kernel tells of a connection's state, and of bytes that wait on either side") {
  TcpListener listener;
  TcpPeer here = TcpPeer::connect(listener.port());
  TcpPeer there = listener.accept();
  auto facts = net::tcp_facts(here.fd());
  REQUIRE(facts);
  CHECK(facts->state == "established");
  CHECK(facts->local == net::local_address(here.fd()));
  CHECK(facts->mss > 0);
  CHECK(facts->congestion_window > 0);
  CHECK(facts->retransmits == 0);
  CHECK(facts->unread == 0);

  // More than both kernels' buffers take, so that some of it has to wait here.
  const std::string chunk(1024 * 1024, 'x');
  std::size_t sent = 0;
  for (ssize_t size = 0; size >= 0; size = ::send(here.fd(), chunk.data(), chunk.size(), 0))
    sent += static_cast<std::size_t>(size);
  facts = net::tcp_facts(here.fd());
  const auto other = net::tcp_facts(there.fd());
  REQUIRE(facts);
  REQUIRE(other);
  CHECK(facts->rtt.count() > 0);
  CHECK(facts->unsent > 0);
  CHECK(facts->unacknowledged >= facts->unsent);
  CHECK(other->unread > 0);
  CHECK(other->unread + facts->unacknowledged >= sent);

  there.close();
  CHECK(here.got_reset());
  CHECK(net::tcp_facts(here.fd())->state == "close");
}

TEST_CASE("what is no TCP socket has no such facts") {
  int pair[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
  const base::Fd one(pair[0]);
  const base::Fd other(pair[1]);
  CHECK_FALSE(net::tcp_facts(one.get()));
  CHECK_FALSE(net::tcp_facts(-1));
}

}  // namespace
}  // namespace sc::test
