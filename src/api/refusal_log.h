#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "base/clock.h"

namespace sc::api {

// A change that was refused: who asked for it and from where.
struct Refusal {
  std::string principal;  // `token ci`, `uid 1000 (curl)`; `none` without a valid token
  std::string address;    // without its port
  std::string method;
  std::string path;
  std::string request_id;
  int status = 0;
};

// Logs refused changes. The first one of each principal and address has a line at once; more within
// kEvery share the next line, which has their number. A value without a clock of its own. Control
// thread only.
class RefusalLog {
 public:
  static constexpr std::chrono::seconds kEvery{10};  // between two lines of a principal and address
  static constexpr std::size_t kMostCallers = 256;   // remembered; the longest silent is forgotten
  static constexpr unsigned kMostLines = 20;         // of all callers, within kEvery

  void note(const Refusal& refusal, base::Instant now);

 private:
  struct Entry {
    base::Instant logged;
    std::uint64_t unlogged = 0;
  };
  void make_room();
  bool may_log(base::Instant now);

  std::map<std::string, Entry> entries_;  // by principal and address
  base::Instant window_{};
  unsigned lines_ = 0;            // since window_
  std::uint64_t suppressed_ = 0;  // of callers whose lines were too many, since the last line
};

}  // namespace sc::api
