#pragma once

#include <string>

#include "net/address.h"

namespace sc::http {

// What a peer counts as where each host has a share: its IP address, of IPv6 the /64, which is what
// one host has at least. Not for display.
std::string host_key(const net::Address& peer);

}  // namespace sc::http
