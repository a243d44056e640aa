#pragma once

#include <netinet/in.h>

#include <cstdint>

#include "bench/pattern.h"
#include "bench/report.h"

namespace sc::bench {

struct BulkOptions {
  sockaddr_in target{};  // leads to the backend's sink or source
  bool up = true;        // from here to the sink; else from the source to here
  unsigned sessions = 1;
  double seconds = 1;
  std::uint64_t bytes = 0;        // for each session, in place of a time
  bool verify = false;            // down: look at every byte; up: the sink does if it was told to
  bool until_input_ends = false;  // or earlier than `seconds`, when standard input ends
  SendMode send = SendMode::copy;
};

// Counts what arrived at the far end, until the last byte did: nothing in flight is counted, and
// the time to deliver it is.
Report run_bulk(const BulkOptions& options);

}  // namespace sc::bench
