#pragma once

#include <netinet/in.h>

#include "bench/pattern.h"

namespace sc::bench {

struct BackendOptions {
  sockaddr_in listen{};  // the sink's; the next two ports are the others'. 0: the kernel chooses
  bool verify = false;   // the sink looks at every byte in place of discarding it
  SendMode send = SendMode::copy;
};

// Serves as the sink, the source and the echo of wire.h, says their ports on standard output, and
// returns when standard input ends.
void run_backend(const BackendOptions& options);

}  // namespace sc::bench
