#include "relay/chronicle.h"

#include <utility>

namespace sc::relay {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

}  // namespace

void Chronicle::began(const Session& session) {
  if (records_.feed.wants_all()) records_.feed.add(session.running());
}

void Chronicle::tell(const SessionEnd& end) {
  latencies_.add(end);
  const bool is_failure = core::is_failure(end.reason);
  const core::LoggedSessions logged = records_.logged.load(kRelaxed);
  if (is_failure ? logged != core::LoggedSessions::none : logged == core::LoggedSessions::all)
    log_.ended(end);
  if (is_failure ? records_.feed.wants_failures() : records_.feed.wants_all())
    records_.feed.add(to_told(end));
}

void Chronicle::ended_without_stream(const SessionEnd& end) { tell(end); }

void Chronicle::ended(StreamCounters& counters, SessionEnd end) {
  tell(end);
  if (!core::is_failure(end.reason)) {
    (end.reason == core::EndReason::empty ? counters.sessions_empty : counters.sessions_finished)
        .fetch_add(1, kRelaxed);
    return;
  }
  StreamFailures& failures = counters.failures(records_.failures);
  const auto reason = static_cast<std::size_t>(end.reason);
  failures.log.add(std::move(end));
  failures.ended.at(reason).fetch_add(1, kRelaxed);  // one that is counted can be asked for
}

}  // namespace sc::relay
