#pragma once

#include <netinet/in.h>

#include <cstddef>
#include <cstdint>

#include "bench/report.h"

namespace sc::bench {

struct PingPongOptions {
  sockaddr_in target{};  // leads to the backend's echo
  std::size_t size = 64;
  unsigned sessions = 1;
  double seconds = 1;
};

// Closed loop: each session has one request under way, and sends the next at the reply to the last.
// A first exchange of each, in which the proxy connects to the backend, is not in the figures.
Report run_ping_pong(const PingPongOptions& options);

}  // namespace sc::bench
