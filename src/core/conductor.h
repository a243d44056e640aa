#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/callback.h"
#include "base/clock.h"
#include "base/result.h"
#include "core/actor.h"
#include "core/applier.h"
#include "core/apply.h"
#include "core/data_plane.h"
#include "core/event.h"
#include "core/ledger.h"
#include "core/plan.h"
#include "core/port_range.h"
#include "core/session.h"
#include "core/store_follower.h"
#include "core/stream.h"
#include "core/stream_store.h"
#include "core/waits.h"

namespace sc::core {

// The use cases. Keeps what is mapped in memory; the store and the data plane follow by prepare,
// commit, activate: whatever fails undoes what came before, and `ok` means that the port accepts
// and the row is on disk. Control thread only.
//
// An on_done is called at most once: from inside the call when the answer is known from memory,
// otherwise when the store and the data plane have answered, or after Waits::kPatience. Actors are
// the callers' names for history.
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

  // As the original's API creates: a stream that leads to the backend already is ok, enabled if it
  // was not, and a failed one is tried at once. conflict: the port has another backend, in memory
  // or in the store. in_use: something else on the host has it. invalid: outside of the range.
  // unavailable: the store failed, or the service is stopping. loop: the streams would make a ring.
  void create(const StreamSpec& spec, const Actor& actor,
              base::Callback<void(base::Result<Stream>)> on_done);

  struct Put {
    Stream stream;
    bool is_new = false;
  };
  using OnPut = base::Callback<void(base::Result<Put>)>;
  // The port's stream becomes this one, whatever it was; running sessions go on. Errors as above,
  // and what `check` says.
  void put(const StreamSpec& spec, const Actor& actor, StreamCheck check, OnPut on_done);
  // The same at a port that is free, the first one of the range that `may_change` lets through; the
  // spec's own port plays no part. unavailable: there is none.
  void put_anywhere(StreamSpec spec, const Actor& actor, const PortCheck& may_change,
                    OnPut on_done);

  // Returns what put() or patch() would refuse of the fields now, see check_fields(). For a body
  // that is wrong already, so that its answer names all wrong fields.
  base::Result<void> check(const StreamSpec& spec) const;
  base::Result<void> check(std::uint16_t port, const StreamPatch& patch) const;

  // not_found; else as put.
  void patch(std::uint16_t port, const StreamPatch& patch, const Actor& actor, StreamCheck check,
             base::Callback<void(base::Result<Stream>)> on_done);

  // Answers once the port is free again; running sessions have `drain` (nothing: the setting's) to
  // end. Takes a row away too that is no stream. not_found; unavailable: the store failed, and the
  // stream goes on; what `check` says.
  void remove(std::uint16_t port, const Actor& actor,
              std::optional<std::chrono::milliseconds> drain, StreamCheck check,
              base::Callback<void(base::Result<void>)> on_done);

  using OnApplied = base::Callback<void(base::Result<ApplyReport>)>;
  // All of the list or nothing. The error's field points into the list: `/3/backend`.
  void apply(ApplyRequest request, const Actor& actor, OnApplied on_done);
  // Makes the streams what they were at that time, by an apply; the request's own list and mode
  // play no part. Those that would have expired by now are left out and told.
  void restore(base::WallTime as_of, ApplyRequest request, const Actor& actor, OnApplied on_done);

  // Makes the streams what the store holds now, after somebody changed it by hand. Running sessions
  // are left alone where their stream stays.
  void reload(const Actor& actor, base::Callback<void(base::Result<ReloadReport>)> on_done);

  // The same with what another database holds, see StoreFollower::take_up.
  ReloadReport take_up(const StoredStreams& stored, const Actor& actor) {
    return follower_.take_up(stored, actor);
  }

  void history(const HistoryQuery& query, StreamStore::OnHistory on_done);
  void as_of(base::WallTime time, StreamStore::OnStreams on_done);

  const StreamMap& list() const { return ledger_.streams(); }
  const Stream* find(std::uint16_t port) const;
  const PortRanges& ports() const { return ledger_.options.ports; }
  bool is_stopping() const { return ledger_.stopping; }

  // The first `most` streams from the port on, by port, as operators see them: with what they
  // carry. Streams that were removed or disabled are `draining` while sessions of theirs run.
  std::vector<StreamView> views_from(std::uint16_t port, std::size_t most) {
    return ledger_.views_from(port, most);
  }
  std::optional<StreamView> view(std::uint16_t port) { return ledger_.view(port); }
  StreamSummary summary() { return ledger_.summary(); }
  // See Ledger::version().
  std::string version() { return ledger_.version(); }

  // The first port of the range that no stream has, that `may_change` (if any) lets through, and
  // that can be bound at this moment. unavailable: none, or the host opens no port at all now.
  base::Result<std::uint16_t> free_port(const PortCheck& may_change = {});

  // Why sessions of the stream do not reach the backend; `trouble` is empty: they reach it again.
  void note_backend(std::uint16_t port, Reach reach, const std::string& trouble);

  // Callers that wait for a change. on_first is called when the first caller begins to wait. From
  // then on end_overdue() has to be called now and then until no caller waits. See Waits.
  void set_on_first_wait(base::Callback<void()> on_first) {
    waits_.set_on_first(std::move(on_first));
  }
  std::size_t waiting() const { return waits_.count(); }
  void end_overdue() { waits_.end_overdue(); }

  // Failed streams: when retry_due() should be called next, told each time it changes.
  void set_on_retry_at(Ledger::OnRetryAt on_retry_at);
  void retry_due();

  // Streams that end by themselves: when expire_due() should be called next, likewise. It may be
  // called earlier.
  void set_on_expiry_at(Ledger::OnExpiryAt on_expiry_at);
  void expire_due();

  // The data plane opens no more ports: whatever would is `unavailable` from now on, that too whose
  // row is being written, and failed streams rest.
  void stop() { ledger_.stopping = true; }
  // The same, and who asks for a change from now on is refused, as `unavailable`. What is mapped
  // stays so; streams that listened are shown as draining. Those that expire go.
  void drain() { ledger_.stopping = ledger_.draining = true; }

 private:
  base::Result<void> admit() const;
  // Runs the work at its turn at the port, unless its caller has been answered by then.
  template <class T>
  void at_port(std::uint16_t port, base::Callback<void(base::Result<T>)> on_done,
               base::Callback<void(base::Callback<void(base::Result<T>)>)> work);
  static ApplyRequest begun_with(const std::shared_ptr<Waits::Wait>& wait, ApplyRequest request);
  void create_at_port(StreamSpec spec, const Actor& actor,
                      base::Callback<void(base::Result<Stream>)> on_done);
  void put_at_port(const StreamSpec& spec, const Actor& actor, const StreamCheck& check,
                   base::Fd listener, OnPut on_done);
  void patch_at_port(std::uint16_t port, const StreamPatch& patch, const Actor& actor,
                     const StreamCheck& check, base::Callback<void(base::Result<Stream>)> on_done);
  void remove_at_port(std::uint16_t port, const Actor& actor,
                      std::optional<std::chrono::milliseconds> drain, const StreamCheck& check,
                      base::Callback<void(base::Result<void>)> on_done);
  void remove_row(std::uint16_t port, const Actor& actor,
                  base::Callback<void(base::Result<void>)> on_done);
  void expire_at_port(std::uint16_t port);
  void move_end_at_port(std::uint16_t port);
  void retry_at_port(std::uint16_t port);
  base::Error none_is_free(bool is_limited) const;
  std::optional<std::uint16_t> candidate(int from, const PortCheck& may_change) const;

  Ledger ledger_;
  Waits waits_;
  PlanRunner runner_{ledger_};
  Applier applier_{ledger_, runner_};
  StoreFollower follower_{ledger_, runner_};
};

}  // namespace sc::core
