#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "base/clock.h"
#include "core/session.h"
#include "core/stream.h"
#include "core/stream_store.h"
#include "handoff/session_record.h"
#include "relay/counters.h"

namespace sc::relay {

core::Traffic traffic_of(const StreamCounters& counters);
// Of that, what a former process counted.
core::Traffic inherited_of(const StreamCounters& counters);

// What the stream at each port carried before its port was opened last: in former processes, and
// with the counters that it had then, whose sessions may run still. Control thread only.
class PastTraffic {
 public:
  PastTraffic() = default;
  PastTraffic(const PastTraffic&) = delete;
  PastTraffic& operator=(const PastTraffic&) = delete;

  // Whatever was there before is forgotten.
  void restore(std::uint16_t port, const core::Traffic& carried);
  // Opened: if the stream of before is gone, this is another one.
  void open(std::uint16_t port);
  void close(std::uint16_t port, std::shared_ptr<const StreamCounters> counters);
  // The stream is gone. If it is open, close() follows.
  void forget(std::uint16_t port, bool is_open);
  // What has come to its end is only a number from now on. To be called when the port's listener is
  // closed, as nobody else may come then.
  void sum_up(std::uint16_t port);
  // Lets go of streams that are gone, with their failures, once their last session has ended. To be
  // called now and then; each of the others that change something does so for a few.
  void sum_up_gone();

  core::Traffic traffic(std::uint16_t port) const;
  // Of that, what former processes counted.
  core::Traffic restored(std::uint16_t port) const;
  // With those of `now`, if it is not null.
  core::Failures failures(std::uint16_t port, const StreamCounters* now) const;

 private:
  using Counters = std::shared_ptr<const StreamCounters>;
  struct Past {
    core::Traffic carried;          // all but what the next ones count
    core::Traffic restored;         // of that, what former processes counted
    std::vector<Counters> running;  // sessions of then may run
    Counters latest;                // for its failures
    bool is_gone = false;
  };

  // Of thousands that are removed in one turn, each shall not look at all others.
  static constexpr std::size_t kGoneAtOnce = 4;

  void sum_up_gone(std::size_t most);

  std::map<std::uint16_t, Past> ports_;
  std::set<std::uint16_t> gone_;  // whose sessions run, after their listener was closed
  std::uint16_t seen_gone_ = 0;   // looked at last
};

// Whether the traffic that was saved has a session that a former process accepted, with what it had
// carried then. It is about sessions that go on: they are not to be counted twice. They exist
// within one boot of the host only, so it goes by the clock that nobody sets.
class SavedSessions {
 public:
  // `saved` outlives this.
  SavedSessions(const std::map<std::uint16_t, core::StoredTraffic>& saved,
                const base::Clock& clock);

  bool has(const handoff::SessionFacts& session) const;

 private:
  const std::map<std::uint16_t, core::StoredTraffic>& saved_;
  base::BootTime now_;
};

}  // namespace sc::relay
