#include "net/error_blame.h"

#include <sys/socket.h>

#include <cerrno>
#include <map>
#include <string>

#include "base/result.h"
#include "net/source_ports.h"
#include "support/catch.h"

namespace sc::test {
namespace {

using net::Address;
using net::Blame;
using net::ErrorStep;
using enum Blame;

constexpr ErrorStep kSteps[] = {ErrorStep::socket, ErrorStep::connect, ErrorStep::answer,
                                ErrorStep::poll, ErrorStep::relay};

// By step: socket, connect, answer, poll, relay. An errno that is missing has kOthers.
const std::map<int, std::vector<Blame>> kExpected{
    {ECONNREFUSED, {way, peer, peer, service, peer}},
    {ECONNRESET, {way, peer, peer, service, peer}},
    {ETIMEDOUT, {way, peer, peer, service, peer}},
    {EMFILE, {lack, lack, lack, lack, lack}},
    {ENFILE, {lack, lack, lack, lack, lack}},
    {ENOBUFS, {lack, lack, lack, lack, lack}},
    {ENOMEM, {lack, lack, lack, lack, lack}},
    {ENOSPC, {lack, lack, lack, lack, lack}},
    {EADDRNOTAVAIL, {lack, lack, lack, service, lack}},
    {EADDRINUSE, {lack, lack, lack, service, lack}},
    {EAGAIN, {lack, lack, lack, service, service}},
    {EPERM, {way, way, way, service, way}},
    {EACCES, {way, way, peer, service, peer}},
    {EINVAL, {way, way, service, service, service}},
    {ENETDOWN, {way, way, way, service, way}},
    {ENODEV, {way, way, way, service, way}},
    {EBADF, {service, service, service, service, service}},
    {ENOTSOCK, {service, service, service, service, service}},
    {EFAULT, {service, service, service, service, service}},
    {EALREADY, {service, service, service, service, service}},
    {EISCONN, {service, service, service, service, service}},
    {EIO, {way, way, peer, service, service}},
};
const std::vector<Blame> kOthers{way, way, peer, service, peer};

TEST_CASE("each errno of each system call blames the party that it speaks of") {
  for (int error = 1; error <= EHWPOISON; ++error) {
    const auto found = kExpected.find(error);
    const std::vector<Blame>& row = found != kExpected.end() ? found->second : kOthers;
    for (std::size_t step = 0; step < std::size(kSteps); ++step) {
      CAPTURE(base::errno_name(error), step);
      CHECK(net::blame_of(kSteps[step], error) == row.at(step));
    }
  }
}

TEST_CASE("a missing route at the connect speaks of this host, an ICMP answer of the network") {
  for (const int error : {ENETUNREACH, EHOSTUNREACH, EACCES}) {
    CHECK(net::blame_of(ErrorStep::connect, error) == way);
    CHECK(net::blame_of(ErrorStep::answer, error) == peer);
  }
}

TEST_CASE("each errno that speaks of this host by name has a remedy, and no other errno has one") {
  const Address to = *Address::parse_ip("127.0.0.1", 99);
  for (const ErrorStep step : kSteps)
    for (int error = 1; error <= EHWPOISON; ++error) {
      const Blame blame = net::blame_of(step, error);
      CAPTURE(base::errno_name(error), static_cast<int>(step));
      if (blame == peer || blame == service) CHECK(net::remedy_of(step, error, to).empty());
      if (blame == lack) CHECK_FALSE(net::remedy_of(step, error, to).empty());
    }
  for (const int error : {EPERM, EACCES, EINVAL, ENETUNREACH, EHOSTUNREACH, ENETDOWN, EAFNOSUPPORT})
    CHECK_FALSE(net::remedy_of(ErrorStep::connect, error, to).empty());
}

TEST_CASE("a remedy for socket(2) speaks of no route, as none is known yet") {
  const Address to = *Address::parse_ip("127.0.0.1", 99);
  for (int error = 1; error <= EHWPOISON; ++error) {
    if (net::blame_of(ErrorStep::socket, error) != way) continue;
    CHECK_THAT(net::remedy_of(ErrorStep::socket, error, to), !Catch::Contains("route"));
  }
  CHECK(net::remedy_of(ErrorStep::socket, EACCES, to) ==
        "a security module or a seccomp filter of this host forbids IPv4 sockets");
  CHECK(net::remedy_of(ErrorStep::socket, EAFNOSUPPORT, *Address::parse_ip("::1", 99)) ==
        "this host has no IPv6, or RestrictAddressFamilies= of the unit forbids it");
}

TEST_CASE("the remedy for used-up source ports names the range, the destination and what helps") {
  const auto range = net::source_ports();
  REQUIRE(range);
  const std::string remedy =
      net::remedy_of(ErrorStep::connect, EADDRNOTAVAIL, *Address::parse_ip("127.0.0.1", 99));
  CHECK(remedy ==
        "no source port is left for connections to 127.0.0.1:99 in "
        "net.ipv4.ip_local_port_range (" +
            std::to_string(range->first) + "-" + std::to_string(range->last) +
            "); widen that range, or let the backend listen at further addresses or "
            "ports");
}

}  // namespace
}  // namespace sc::test
