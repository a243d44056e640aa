#include "relay/chronicle.h"

#include <utility>

#include "base/log.h"

namespace sc::relay {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

void log(const SessionEnd& end) {
  if (!base::log::enabled(base::log::Level::debug)) return;
  const core::EndedSession told = to_told(end);
  base::log::debug("session ended", {{"port", std::to_string(told.port)},
                                     {"reason", std::string(core::to_string(told.reason))},
                                     {"client", told.client},
                                     {"message", core::in_words(told)}});
}

}  // namespace

void Chronicle::began(const Session& session) {
  if (records_.feed.wants_all()) records_.feed.add(session.running());
}

void Chronicle::ended(StreamCounters& counters, SessionEnd end) {
  latencies_.add(end);
  log(end);
  const bool is_failure = end.reason != core::EndReason::finished;
  if (is_failure ? records_.feed.wants_failures() : records_.feed.wants_all())
    records_.feed.add(to_told(end));
  if (!is_failure) {
    counters.sessions_finished.fetch_add(1, kRelaxed);
    return;
  }
  StreamFailures& failures = counters.failures(records_.failures);
  failures.ended.at(static_cast<std::size_t>(end.reason)).fetch_add(1, kRelaxed);
  failures.log.add(std::move(end));
}

}  // namespace sc::relay
