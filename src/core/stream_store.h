#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/callback.h"
#include "base/result.h"
#include "core/event.h"
#include "core/stream.h"

namespace sc::core {

// Makes sure of the row: inserts it, or finds one of the same spec. conflict: the port has another
// one, which somebody wrote by hand.
struct AddStream {
  Stream stream;
};
// The row becomes this one, spec and all. conflict: it leads to another backend than `seen` (or is
// gone), as somebody has changed it by hand since.
struct ReplaceStream {
  Stream stream;
  StreamSpec seen;
};
// Updates what the service finds out by itself (state, reason, updated_at, revision), if the row is
// there and leads to the stream's backend still: somebody may have changed it by hand since.
struct NoteStream {
  Stream stream;
};
struct EraseStream {
  std::uint16_t port = 0;
};
struct AppendEvent {
  Event event;
};
// What a stream had carried when that was saved last.
struct StoredTraffic {
  base::WallTime since{};     // nobody counted before; not before the stream was created
  base::WallTime saved_at{};  // it has not what came after
  base::BootTime saved_on{};  // the same moment, for who compares: a wall clock may be set
  Traffic traffic;            // without sessions_active
  bool operator==(const StoredTraffic&) const = default;
};
// Written if there is a stream at the port that was created then: else it is gone, and that is all
// right.
struct SaveTraffic {
  std::uint16_t port = 0;
  base::WallTime created_at{};
  StoredTraffic stored;
};
using StoreWrite =
    std::variant<AddStream, ReplaceStream, NoteStream, EraseStream, AppendEvent, SaveTraffic>;

// A row that cannot be taken as a stream, because somebody wrote it by hand.
struct UnreadableRow {
  std::string row;  // the columns, for the log
  std::string why;
  std::uint16_t port = 0;  // 0 when even that cannot be read
};

// How the last event of a port left its stream.
struct RecordedStream {
  StreamSpec spec;
  bool is_failed = false;  // the event is `failed`
  bool operator==(const RecordedStream&) const = default;
};

struct StoredStreams {
  std::vector<Stream> streams;  // by port
  std::vector<UnreadableRow> unreadable;
  // How the last event of each port left it; none for a port whose stream is gone.
  std::map<std::uint16_t, RecordedStream> recorded;
  // None for one that has carried nothing yet.
  std::map<std::uint16_t, StoredTraffic> traffic;
};

// What one step of pruning did.
struct PruneStep {
  std::optional<std::uint16_t> next_port;  // where the next step goes on; nullopt: all is done
  std::size_t deleted = 0;                 // events
};

// Where mappings and their history are kept. Called from the control thread; its answers come there
// too, once, later, in the order of asking; not at all when the store dies first.
class StreamStore {
 public:
  virtual ~StreamStore() = default;

  // All of the writes or none; on_done says success only once they would survive a loss of power.
  using OnCommitted = base::Callback<void(base::Result<void>)>;
  virtual void commit(std::vector<StoreWrite> writes, OnCommitted on_done) = 0;

  // For facts: writes that follow what has happened already. What cannot be written now is kept and
  // written later, before any commit that was asked for afterwards. No answer; a failure is logged.
  virtual void record(std::vector<StoreWrite> writes) = 0;

  // What the database holds after all commits before it.
  using OnLoaded = base::Callback<void(base::Result<StoredStreams>)>;
  virtual void load(OnLoaded on_done) = 0;

  using OnHistory = base::Callback<void(base::Result<HistoryPage>)>;
  virtual void history(const HistoryQuery& query, OnHistory on_done) = 0;

  // Called after each commit that was successful, or once for several, behind their answers: there
  // may be events that were not there. One at a time.
  virtual void set_on_recorded(base::Callback<void()> on_recorded) = 0;

  // The streams as they were mapped at that time, by port, from history: each as its last event
  // until then left it. Their `state` is failed, disabled or listening. not_found: the history
  // begins later.
  using OnStreams = base::Callback<void(base::Result<std::vector<Stream>>)>;
  virtual void as_of(base::WallTime time, OnStreams on_done) = 0;

  // Deletes some of the events at or before that time, beginning with those of `from_port`, but
  // none that as_of needs for that time and later. A step is short, so that a commit behind it does
  // not wait long.
  using OnPruned = base::Callback<void(base::Result<PruneStep>)>;
  virtual void prune_history(base::WallTime before, std::uint16_t from_port, OnPruned on_done) = 0;
};

}  // namespace sc::core
