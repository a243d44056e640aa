#pragma once

#include <atomic>
#include <memory>

#include "relay/counters.h"
#include "relay/failure_log.h"
#include "relay/latencies.h"
#include "relay/session.h"
#include "relay/session_end.h"
#include "relay/session_feed.h"
#include "relay/session_log.h"

namespace sc::relay {

// Where all workers write down what becomes of sessions. Any thread.
struct Records {
  SessionFeed feed;
  std::atomic<core::LoggedSessions> logged{core::LoggedSessions::none};  // relaxed
  std::shared_ptr<FailureBudget> failures = std::make_shared<FailureBudget>();
};

// What a worker writes down of its sessions: counts by reason, latencies, the stream's
// failures, what watchers are told, the log. Of a session that finished it costs little. Worker's
// thread, but for latencies().
class Chronicle {
 public:
  Chronicle(loop::Loop& loop, Records& records) : records_(records), log_(loop) {}
  Chronicle(const Chronicle&) = delete;
  Chronicle& operator=(const Chronicle&) = delete;

  void began(const Session& session);
  void ended(StreamCounters& counters, SessionEnd end);
  void ended_without_stream(const SessionEnd& end);  // which has gone: nobody counts it
  void flush() { log_.flush(); }                     // before the thread ends

  const Latencies& latencies() const { return latencies_; }  // any thread

 private:
  void tell(const SessionEnd& end);

  Records& records_;
  Latencies latencies_;
  SessionLog log_;
};

}  // namespace sc::relay
