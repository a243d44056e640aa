#include "http/peer_host.h"

#include <netinet/in.h>

namespace sc::http {

std::string host_key(const net::Address& peer) {
  if (peer.family() != AF_INET6) return peer.ip();
  const auto& address = reinterpret_cast<const sockaddr_in6*>(peer.raw())->sin6_addr;
  if (IN6_IS_ADDR_V4MAPPED(&address)) return peer.ip();
  return {reinterpret_cast<const char*>(&address), 8};
}

}  // namespace sc::http
