#include "net/port_owner.h"

#include <string>

#include "net/socket.h"
#include "support/catch.h"
#include "support/namespaces.h"
#include "support/tcp_peer.h"

namespace sc::test {
namespace {

using net::Address;

TEST_CASE("a listener is named as what has its port") {
  const TwoHosts hosts;  // without other programs
  const TcpListener listener;
  CHECK(net::describe_occupant(listener.port()) == "this service listens there");
  const std::uint16_t free = unused_port();
  CHECK(net::describe_occupant(free).empty());
}

TEST_CASE("a connection is named as what has its source port, with its destination") {
  const std::string ip = GENERATE("127.0.0.1", "::1");
  const TwoHosts hosts;
  const auto made = net::listen_tcp(*Address::parse_ip(ip, 0), {});
  REQUIRE(made);
  const Address to = net::local_address(made->get());
  auto socket = net::start_connect(to);
  REQUIRE(socket);
  const std::uint16_t port = net::local_address(socket->get()).port();
  CHECK(net::describe_occupant(port) ==
        "this service has a connection from it to " + to.to_string());
}

TEST_CASE("an ended connection that holds its port in TIME_WAIT is named") {
  const TwoHosts hosts;
  TcpListener listener;
  TcpPeer client = TcpPeer::connect(listener.port());
  TcpPeer server = listener.accept();
  const std::uint16_t port = client.port();
  client.close();
  CHECK(server.receive_until_end().empty());
  server.close();
  CHECK(net::describe_occupant(port) ==
        "a connection from it to 127.0.0.1:" + std::to_string(listener.port()) +
            " has ended and holds it for up to 60 s (TIME_WAIT)");
}

}  // namespace
}  // namespace sc::test
