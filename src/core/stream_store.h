#pragma once

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

// Makes sure of the row: inserts it, or finds one that leads to the same backend. conflict: the
// port has another one, which somebody wrote by hand.
struct AddStream {
  Stream stream;
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
using StoreWrite = std::variant<AddStream, NoteStream, EraseStream, AppendEvent>;

// A row that cannot be taken as a stream, because somebody wrote it by hand.
struct UnreadableRow {
  std::string row;  // the columns, for the log
  std::string why;
  std::uint16_t port = 0;  // 0 when even that cannot be read
};

struct StoredStreams {
  std::vector<Stream> streams;  // by port
  std::vector<UnreadableRow> unreadable;
  // Where the last event of each port left it leading to; none for a port that was removed.
  std::map<std::uint16_t, std::string> recorded;
};

// Where mappings and their history are kept. Called from the control thread; its answers come there
// too.
class StreamStore {
 public:
  virtual ~StreamStore() = default;

  // All of the writes or none; on_done says success only once they would survive a loss of power.
  // Called once, later, in the order of the commits; not at all when the store dies first.
  using OnCommitted = base::Callback<void(base::Result<void>)>;
  virtual void commit(std::vector<StoreWrite> writes, OnCommitted on_done) = 0;

  // What the database holds after all commits before it.
  using OnLoaded = base::Callback<void(base::Result<StoredStreams>)>;
  virtual void load(OnLoaded on_done) = 0;
};

}  // namespace sc::core
