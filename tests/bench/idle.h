#pragma once

#include <netinet/in.h>

#include "bench/report.h"

namespace sc::bench {

struct IdleOptions {
  sockaddr_in target{};  // leads to the backend's echo
  unsigned sessions = 1;
};

// Opens the sessions with one exchange each, says so in a line, holds them until standard input
// ends, and then sees that all are still open. The report is what is printed at the end.
Report run_idle(const IdleOptions& options);

}  // namespace sc::bench
