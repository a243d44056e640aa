#include "traffic/outcome.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace sc::traffic {

void Outcome::add_good(std::uint64_t up, std::uint64_t down) {
  ++good_;
  bytes_up_ += up;
  bytes_down_ += down;
}

void Outcome::add_bad(const Fault& fault) {
  ++bad_;
  if (fault.wrong) ++wrong_;
  if (errors_.size() < kMostErrors) errors_.push_back(fault.sentence);
}

void Outcome::add_pause(Clock::duration pause) { pause_ = std::max(pause_, pause); }

std::string Outcome::text() const {
  const std::chrono::duration<double> elapsed = Clock::now() - start_;
  const std::chrono::duration<double, std::milli> pause = pause_;
  nlohmann::ordered_json text{
      {"good", good_},
      {"bad", bad_},
      {"wrong", wrong_},
      {"empty", empty_},
      {"bytes_up", bytes_up_},
      {"bytes_down", bytes_down_},
      {"seconds", elapsed.count()},
      {"longest_pause_ms", pause.count()},
      {"errors", errors_},
  };
  if (latencies_.count() > 0) {
    text["p50_ms"] = latencies_.percentile(0.5) / 1000;
    text["p99_ms"] = latencies_.percentile(0.99) / 1000;
    text["max_ms"] = latencies_.max() / 1000;
  }
  return text.dump();
}

}  // namespace sc::traffic
