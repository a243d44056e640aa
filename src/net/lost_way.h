#pragma once

#include <optional>
#include <string>

#include "net/address.h"

namespace sc::net {

// Why this host can no longer carry a connection.
struct LostWay {
  int error = 0;    // errno
  std::string why;  // `10.1.0.1:80: Network is unreachable (ENETUNREACH); this host has ...`
};

// Whether an errno of a running connection or a missing answer can be due to this host: its
// interface, route or source address has gone.
bool may_be_lost_way(int error);

// Asks the kernel by a UDP socket, which sends nothing, whether this host still has the source
// address `from` and a way to `to`. An empty `from` (AF_UNSPEC) is not asked about. nullopt: it has
// both, or the kernel does not say.
std::optional<LostWay> lost_way(const Address& from, const Address& to);

}  // namespace sc::net
