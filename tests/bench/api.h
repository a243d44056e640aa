#pragma once

#include <netinet/in.h>

#include <cstdint>
#include <string>

#include "bench/report.h"

namespace sc::bench {

struct ApiOptions {
  sockaddr_in target{};  // the API of a stream-conductor
  std::string backend;   // where the streams lead
  std::uint16_t first_port = 0;
  unsigned count = 1;        // streams, on ports that follow each other
  unsigned concurrency = 1;  // connections with one request at a time each
  unsigned lists = 0;        // of all streams, one at a time
  bool create = true;        // else they are there already
  bool remove = true;        // else they stay
};

// Creates the streams, lists them, and removes them, each over connections that are kept.
Report run_api(const ApiOptions& options);

}  // namespace sc::bench
