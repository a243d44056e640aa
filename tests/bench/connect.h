#pragma once

#include <netinet/in.h>

#include <cstddef>
#include <cstdint>

#include "bench/report.h"

namespace sc::bench {

struct ConnectOptions {
  sockaddr_in target{};  // leads to the backend's echo
  std::size_t size = 64;
  unsigned concurrency = 1;
  double seconds = 1;
};

// Connect, request, reply, close, over and over, `concurrency` of them at any time. The latency is
// from the connect to the whole reply. The client closes first and in order, so that TIME_WAIT is
// on its side, spread over the ports of several source addresses.
Report run_connect(const ConnectOptions& options);

}  // namespace sc::bench
