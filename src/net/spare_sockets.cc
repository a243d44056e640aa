#include "net/spare_sockets.h"

#include <utility>

#include "net/socket.h"

namespace sc::net {

base::Fd SpareSockets::take(int family) {
  Spare& spare = family == AF_INET ? v4_ : v6_;
  spare.is_used = true;
  return spare.socket ? std::move(spare.socket) : make_socket(family, shares_port_);
}

void SpareSockets::refill() {
  for (Spare* spare : {&v4_, &v6_})
    if (spare->is_used && !spare->socket) spare->socket = make_socket(spare->family, shares_port_);
}

}  // namespace sc::net
