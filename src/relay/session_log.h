#pragma once

#include <chrono>
#include <cstddef>

#include "loop/loop.h"
#include "loop/timer.h"
#include "relay/session_end.h"

namespace sc::relay {

// One worker's log lines of ended sessions. A backend that is down ends tens of thousands a second:
// of those that are too many only the number is logged. Loop's thread only.
class SessionLog {
 public:
  static constexpr std::size_t kMostPerSecond = 200;

  explicit SessionLog(loop::Loop& loop);
  SessionLog(const SessionLog&) = delete;
  SessionLog& operator=(const SessionLog&) = delete;

  void ended(const SessionEnd& end);
  // Logs how many were left out, if any were. It is done a second after the first of them, too.
  void flush();

 private:
  loop::Loop& loop_;
  std::chrono::milliseconds second_began_at_{0};  // in the loop's time
  std::size_t lines_ = 0;                         // in this second
  std::size_t left_out_ = 0;
  loop::Timer flush_due_;
};

}  // namespace sc::relay
