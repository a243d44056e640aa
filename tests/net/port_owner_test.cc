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
  CHECK(net::describe_occupant(Address::any_v6(listener.port())) == "this service listens there");
  const std::uint16_t free = unused_port();
  CHECK(net::describe_occupant(Address::any_v6(free)).empty());
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
  CHECK(net::describe_occupant(Address::any_v6(port)) ==
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
  CHECK(net::describe_occupant(Address::any_v6(port)) ==
        "a connection from it to 127.0.0.1:" + std::to_string(listener.port()) +
            " has ended and holds it for up to 60 s (TIME_WAIT)");
}

TEST_CASE("a listener at an address that does not matter is not named") {
  const TwoHosts hosts;
  const auto other = net::listen_tcp(*Address::parse_ip("127.0.0.5", 0), {});
  REQUIRE(other);
  const std::uint16_t port = net::local_address(other->get()).port();
  CHECK(net::describe_occupant(*Address::parse_ip("127.0.0.6", port)).empty());
  CHECK(net::describe_occupant(*Address::parse_ip("::1", port)).empty());
  for (const std::string ip : {"127.0.0.5", "0.0.0.0", "::"})
    CHECK(net::describe_occupant(*Address::parse_ip(ip, port)) == "this service listens there");
}

TEST_CASE("a connection of this service is named after everything else that has the port") {
  const TwoHosts hosts;
  const TcpListener target;
  auto own = net::start_connect(*Address::parse_ip("127.0.0.1", target.port()));
  REQUIRE(own);
  const std::uint16_t port = net::local_address(own->get()).port();
  CHECK_THAT(net::describe_occupant(Address::any_v6(port)),
             Catch::StartsWith("this service has a connection from it"));
  const auto other = net::listen_tcp(*Address::parse_ip("::1", port), {});
  REQUIRE(other);
  CHECK(net::describe_occupant(Address::any_v6(port)) == "this service listens there");
}

}  // namespace
}  // namespace sc::test
