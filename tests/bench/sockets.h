#pragma once

#include <netinet/in.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"

// IPv4 on loopback, which is all that the benchmark uses.
namespace sc::bench {

// `127.0.0.1:9000`; addresses outside of 127.0.0.0/8 are refused.
base::Result<sockaddr_in> parse_loopback(std::string_view text);

base::Result<base::Fd> listen_on(const sockaddr_in& address);
std::uint16_t port_of(int socket);

// The numberth of several source addresses, 127.0.0.2 and on: each has its own ephemeral ports, so
// that sockets in TIME_WAIT do not use them up.
sockaddr_in source_address(std::uint64_t number);

// A socket that does not block and has TCP_NODELAY, on its way to be connected.
base::Result<base::Fd> start_connect(const sockaddr_in& target, const sockaddr_in& source);

// Connected within `patience`, then as above.
base::Result<base::Fd> connect_to(const sockaddr_in& target, const sockaddr_in& source,
                                  std::chrono::milliseconds patience);

void set_no_delay(int socket);
// What SO_ERROR says of a socket that was being connected or broke; 0 when all is well.
int pending_error(int socket);

}  // namespace sc::bench
