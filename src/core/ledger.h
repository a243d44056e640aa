#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/callback.h"
#include "base/clock.h"
#include "core/data_plane.h"
#include "core/expiry_schedule.h"
#include "core/port_queue.h"
#include "core/port_range.h"
#include "core/retry_schedule.h"
#include "core/stream.h"
#include "core/stream_store.h"

namespace sc::core {

struct ConductorOptions {
  PortRanges ports;                                 // that new streams may have
  std::chrono::milliseconds drain_timeout{10'000};  // for the sessions of a removed stream
};

// A stream with what it carries, as operators see it.
struct StreamView {
  Stream stream;
  Traffic traffic;
};

// How many streams there are, and which of them need attention.
struct StreamSummary {
  std::map<StreamState, std::size_t> counts;  // as operators see them
  std::vector<Stream> degraded;  // by port: failed, or their latest session reached no backend
};

// What is mapped now, as the use cases share it, with the few steps that all of them take. Control
// thread only.
class Ledger {
 public:
  Ledger(ConductorOptions given_options, StreamStore& given_store, DataPlane& given_plane,
         const base::Clock& given_clock);
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;

  const ConductorOptions options;
  StreamStore& store;
  DataPlane& plane;
  const base::Clock& clock;
  PortQueue queue;
  std::set<std::uint16_t> unreadable;  // ports whose rows are no streams
  bool stopping = false;               // no port is opened any more
  bool draining = false;               // and nobody changes anything
  // unavailable: which of the two it is.
  base::Error ending() const;

  const StreamMap& streams() const { return streams_; }
  const Stream* find(std::uint16_t port) const;
  // The stream is so from now on, its timers too.
  void keep(Stream stream);
  // Its time is over, as it is known: by a date, or by the time that has passed.
  bool is_over(const StreamSpec& spec) const;
  // It is gone; if its sessions still run, it is shown as draining until they have ended.
  void let_go(std::uint16_t port);
  // The first `most` from the port on, those that leave among them.
  std::vector<StreamView> views_from(std::uint16_t port, std::size_t most);
  std::optional<StreamView> view(std::uint16_t port);
  StreamSummary summary();
  // Names the present state of all streams, except what they carry. It differs after each change,
  // and from those of other processes, so that an ETag can be made of it.
  std::string version();

  // prepare + activate of a kept stream; sets its state and reason.
  void open(Stream& stream);

  // For writes that follow what has happened already, see StreamStore::record. Leaves the port.
  void record(std::uint16_t port, std::vector<StoreWrite> writes);

  AppendEvent event(EventAction action, const Stream& stream, const Actor& actor) const;

  // Failed streams: when they should be tried again next, told each time it changes.
  using OnRetryAt = base::Callback<void(std::optional<base::Instant>)>;
  void set_on_retry_at(OnRetryAt on_retry_at);
  std::vector<std::uint16_t> to_retry() const { return retries_.due(clock.steady()); }
  void retry_later(std::uint16_t port) { retries_.failed(port, clock.steady()); }
  void tell_retry_at();

  // Streams that end by themselves: when the next one does, told each time it changes.
  using OnExpiryAt = base::Callback<void(std::optional<base::WallTime>)>;
  void set_on_expiry_at(OnExpiryAt on_expiry_at);
  // Those whose time has come, each once.
  std::vector<std::uint16_t> take_expired();
  void expire_later(std::uint16_t port);
  void tell_expiry_at();
  // Streams that end when a time has passed and whose expires_at is not that moment any more, as
  // the host's clock was set. Asked of all streams once for each time that the clock is set.
  std::vector<std::uint16_t> take_moved();
  // expires_at as it should be; nullopt: it is right, or counts by itself.
  std::optional<base::WallTime> moved_end(const StreamSpec& spec) const;
  void look_again_for_moved() { clock_ahead_.reset(); }

 private:
  StreamState shown_state(const Stream& stream, std::uint64_t sessions_active) const;
  void forget_ended();

  StreamMap streams_;
  StreamMap leaving_;  // gone, but for sessions
  const std::uint64_t process_;
  std::uint64_t changes_ = 0;
  RetrySchedule retries_;
  OnRetryAt on_retry_at_;
  std::chrono::milliseconds clock_ahead() const;

  ExpirySchedule<base::WallTime> expiries_;
  ExpirySchedule<base::Instant> ttls_;
  // The host's clock against the steady one, when take_moved() looked; nullopt: it has to look.
  std::optional<std::chrono::milliseconds> clock_ahead_;
  OnExpiryAt on_expiry_at_;
  std::optional<std::optional<base::WallTime>> expiry_told_;
};

// The actor of what the service does by itself.
Actor service_actor();

void log_change(std::string_view what, const Stream& stream, const Actor& actor);

base::Error with_prefix(std::string prefix, base::Error error);

}  // namespace sc::core
