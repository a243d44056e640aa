#pragma once

#include <netinet/in.h>

#include <chrono>
#include <cstdint>
#include <vector>

#include "traffic/plan.h"

namespace sc::traffic {

struct ClientOptions {
  sockaddr_in target{};  // leads to the backend
  unsigned sessions = 1;
  Plan plan;                // of each; seed and mode are its own
  std::vector<Mode> modes;  // session n has the mode n modulo their number
  bool hold = false;        // one exchange, silence until standard input ends, another one
  std::chrono::milliseconds patience{30000};  // with a session in which nothing moves
};

// Runs the sessions, prints `{"open": N}` once all are connected (held ones: have exchanged), and
// at the end what came of them; true if every byte, every length and every end was right.
bool run_client(const ClientOptions& options);

struct RateOptions {
  sockaddr_in target{};
  double per_second = 1;
  double seconds = 1;
  std::uint64_t rate = 0;  // as Plan::send_rate
  std::chrono::milliseconds patience{30000};
};

// Opens short sessions on time, whatever becomes of those before: 100 bytes up, 1000 down, the
// backend ends first.
bool run_rate(const RateOptions& options);

}  // namespace sc::traffic
