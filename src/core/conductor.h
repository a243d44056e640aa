#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/callback.h"
#include "base/clock.h"
#include "base/result.h"
#include "core/data_plane.h"
#include "core/port_queue.h"
#include "core/port_range.h"
#include "core/reconcile.h"
#include "core/retry_schedule.h"
#include "core/stream.h"
#include "core/stream_store.h"

namespace sc::core {

struct ConductorOptions {
  PortRanges ports;                                 // that new streams may have
  std::chrono::milliseconds drain_timeout{10'000};  // for the sessions of a removed stream
};

struct BootReport {
  std::size_t opened = 0;
  std::size_t failed = 0;
};

// What a reload set out to do; what fails on the way is logged and, for a port, tried again.
struct ReloadReport {
  std::size_t opened = 0;
  std::size_t changed = 0;
  std::size_t closed = 0;
};

// The use cases. Keeps what is mapped in memory; the store and the data plane follow by prepare,
// commit, activate: whatever fails undoes what came before, and `ok` means that the port accepts
// and the row is on disk. Control thread only.
//
// An on_done is called at most once: from inside the call when the answer is known from memory,
// else when the store and the data plane have answered. Actors are who asked, as they shall stand
// in history.
class Conductor {
 public:
  Conductor(ConductorOptions options, StreamStore& store, DataPlane& plane,
            const base::Clock& clock);
  Conductor(const Conductor&) = delete;
  Conductor& operator=(const Conductor&) = delete;

  // Opens what the store held, once, before anything else. Streams outside of the range are opened
  // too: the range is for new ones. What was changed by hand since the service ran last becomes
  // history. on_done: all are open or `failed`, and the store has their events, or has failed to
  // take them.
  void boot(const StoredStreams& stored, base::Callback<void(BootReport)> on_done);

  // Same port and backend again: ok, and a failed one is tried at once. conflict: the port has
  // another backend, in memory or in the store, or something else on the host has it. invalid:
  // outside of the range. unavailable: the store failed, or the service is stopping.
  void create(const StreamSpec& spec, const std::string& actor,
              base::Callback<void(base::Result<Stream>)> on_done);

  // Answers once the port is free again; running sessions have `drain_timeout` to end. Takes a row
  // away too that is no stream. not_found;
  // unavailable: the store failed, and the stream goes on.
  void remove(std::uint16_t port, const std::string& actor,
              base::Callback<void(base::Result<void>)> on_done);

  // Makes the streams what the store holds now, after somebody changed it by hand. Running sessions
  // are left alone where their stream stays.
  void reload(const std::string& actor, base::Callback<void(base::Result<ReloadReport>)> on_done);

  std::vector<Stream> list() const;  // by port
  const Stream* find(std::uint16_t port) const;
  const PortRanges& ports() const { return options_.ports; }

  // The first port of the range, and of `only` where it is given, that no stream has and that can
  // be bound at this moment. unavailable: none, or the host opens no port at all now.
  base::Result<std::uint16_t> free_port(const std::optional<PortRanges>& only = std::nullopt);

  // Why sessions of the stream do not reach the backend; empty: they do again.
  void note_backend(std::uint16_t port, const std::string& trouble);

  // Failed streams: when retry_due() should be called next, told each time it changes.
  using OnRetryAt = base::Callback<void(std::optional<base::Instant>)>;
  void set_on_retry_at(OnRetryAt on_retry_at);
  void retry_due();

  // The data plane opens no more ports: creates are `unavailable` from now on, those too whose row
  // is being written, and failed streams rest.
  void stop();

 private:
  void create_at_port(const StreamSpec& spec, const std::string& actor,
                      base::Callback<void(base::Result<Stream>)> on_done);
  void create_again(Stream& stream, const StreamSpec& spec, const std::string& actor,
                    base::Callback<void(base::Result<Stream>)> on_done);
  void undo_create(const Stream& stream, base::Callback<void(base::Result<Stream>)> on_done);
  void remove_at_port(std::uint16_t port, const std::string& actor,
                      base::Callback<void(base::Result<void>)> on_done);
  void retry_at_port(std::uint16_t port);
  void note_failure(const Stream& stream, const std::string& reason_before);
  void remove_row(std::uint16_t port, const std::string& actor,
                  base::Callback<void(base::Result<void>)> on_done);
  void note_unreadable(const std::vector<UnreadableRow>& rows);

  // Reload's steps, each at its port, which it leaves when the store has answered.
  void open_stored(const Stream& wanted, const std::string& actor);
  void change_backend(const Stream& wanted, const Stream& seen, const std::string& actor);
  void close_unstored(const Stream& seen, const std::string& actor);

  // prepare + activate; sets state, reason and the retry schedule.
  void open(Stream& stream);
  // For writes that follow what has happened already: a failure is logged. Leaves the port in the
  // end.
  void record(std::uint16_t port, std::vector<StoreWrite> writes);
  AppendEvent event(EventAction action, const Stream& stream, const std::string& actor) const;
  void tell_retry_at();

  ConductorOptions options_;
  StreamStore& store_;
  DataPlane& plane_;
  const base::Clock& clock_;
  std::map<std::uint16_t, Stream> streams_;
  std::set<std::uint16_t> unreadable_;  // ports whose rows are no streams
  PortQueue queue_;
  RetrySchedule retries_;
  OnRetryAt on_retry_at_;
  bool stopping_ = false;
};

}  // namespace sc::core
