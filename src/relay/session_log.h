#pragma once

#include <chrono>
#include <cstddef>

#include "loop/loop.h"
#include "loop/timer.h"
#include "relay/session_end.h"

namespace sc::relay {

// One worker's log lines of ended sessions. A backend that is down ends tens of thousands a second,
// and so may clients who are done: of those that are too many, for the log or for its reader, only
// the number is logged. Those that somebody has to look into, others that failed, and those that
// finished have a share each of the lines of a second, so that none of them pushes out the others
// there; where the log's reader takes them more slowly, they share its places. Loop's thread only.
class SessionLog {
 public:
  static constexpr std::size_t kMostPerSecond = 200;  // of each of the three

  explicit SessionLog(loop::Loop& loop);
  SessionLog(const SessionLog&) = delete;
  SessionLog& operator=(const SessionLog&) = delete;

  void ended(const SessionEnd& end);
  // Logs how many were left out, if any were. It is done a second after the first of them, too.
  void flush();

 private:
  struct Share {
    std::size_t lines = 0;  // in this second
    std::size_t left_out = 0;
  };

  Share& share_of(const SessionEnd& end);

  loop::Loop& loop_;
  std::chrono::milliseconds second_began_at_{0};  // in the loop's time
  Share trouble_;                                 // the backend's or the service's
  Share others_;                                  // that failed
  Share finished_;                                // and those without a byte
  loop::Timer flush_due_;
};

}  // namespace sc::relay
