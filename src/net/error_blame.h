#pragma once

#include <string>

#include "net/address.h"

namespace sc::net {

// The system call that an errno came from.
enum class ErrorStep : unsigned char {
  socket,   // socket(2)
  connect,  // connect(2), at once
  answer,   // SO_ERROR of a connect that was under way
  poll,     // epoll_ctl(2)
  relay,    // reading and writing a connection
};

// The party that an errno speaks of.
enum class Blame : unsigned char {
  peer,     // the other end, or the network on the way to it
  way,      // this host has no way to the address: a route, a firewall, a missing family
  lack,     // this host has no descriptor, memory or source port left
  service,  // a bug of this service
};

// The one table of errno values. The kernel reports a missing route at connect(2); an ICMP message
// of a router arrives later, as the answer. So the same errno can speak of this host or of the
// network.
Blame blame_of(ErrorStep step, int error);

// What the operator can do about an error of this host, as a clause; empty: nothing is known. `to`
// is the address that was dialled. Reads /proc.
std::string remedy_of(ErrorStep step, int error, const Address& to);

// Whether this host has an address to send from to `to`. connect(2) reports EADDRNOTAVAIL both for
// a missing source address (IPv6 is disabled, say) and for used-up source ports. Asks the kernel by
// a UDP socket, which sends nothing; true if the kernel does not say.
bool has_source_address(const Address& to);

}  // namespace sc::net
