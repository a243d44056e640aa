#pragma once

#include <cstdint>
#include <string>

namespace sc::net {

// Which process of this host listens at the TCP port, for a person to read: `nginx (pid 812)`;
// empty when none does, or when /proc does not let us see whose socket it is (another user's
// process, for a service without privileges). Reads /proc/net/tcp{,6} and the descriptors of every
// process (proc(5)): milliseconds, so only for an answer to somebody. Any thread.
std::string describe_listener(std::uint16_t port);

}  // namespace sc::net
