#pragma once

#include <sys/socket.h>

#include "base/fd.h"

namespace sc::net {

// Sockets for start_connect() that are made ahead, one a family, for whoever has no time to make
// one then. One thread.
class SpareSockets {
 public:
  // `shares_port`: see make_socket().
  explicit SpareSockets(bool shares_port = false) : shares_port_(shares_port) {}

  // For addresses of AF_INET or AF_INET6: the one that is there or, the first time, a new one. None
  // where the host gives none.
  base::Fd take(int family);
  // Others in place of what was taken.
  void refill();

 private:
  struct Spare {
    int family;
    bool is_used = false;  // whoever took one takes more
    base::Fd socket = {};
  };
  const bool shares_port_;
  Spare v4_{AF_INET};
  Spare v6_{AF_INET6};
};

}  // namespace sc::net
