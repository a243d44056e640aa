#pragma once

#include <string>

#include "net/address.h"

namespace sc::net {

// What keeps a listener from that TCP address, as a clause: `nginx (pid 812) listens there`, `curl
// (pid 99) has a connection from it to 10.1.0.1:443`, `a connection from it to 10.1.0.1:443 has
// ended and holds it for up to 60 s (TIME_WAIT)`. A listener comes first, then a connection of
// another process, one that is ending or has ended, and last a connection of this service. The
// process has no name where /proc does not show whose socket it is (another user's process, for a
// service without privileges). Empty: no such socket. Reads /proc/net/tcp{,6} and the descriptors
// of every process (proc(5)): milliseconds, so only for an answer to a caller. Any thread.
std::string describe_occupant(const Address& listen);

}  // namespace sc::net
