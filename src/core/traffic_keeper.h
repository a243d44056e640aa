#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <vector>

#include "base/clock.h"
#include "core/data_plane.h"
#include "core/stream.h"
#include "core/stream_store.h"

namespace sc::core {

// Keeps what streams have carried in the store, so that it outlives the process: what has changed,
// when it is told to. Control thread only.
class TrafficKeeper {
 public:
  // How often save() should be called: so much is lost when the process is killed.
  static constexpr std::chrono::milliseconds kEvery = std::chrono::minutes(1);
  // So many streams go into one commit, so that who creates one never waits long behind them.
  static constexpr std::size_t kBatch = 256;

  // `streams` is what is mapped, at any time.
  TrafficKeeper(const StreamMap& streams, StreamStore& store, const DataPlane& plane,
                const base::Clock& clock);
  TrafficKeeper(const TrafficKeeper&) = delete;
  TrafficKeeper& operator=(const TrafficKeeper&) = delete;

  // What the store has, at the start: the streams begin from there.
  void start(const StoredStreams& stored);

  // Writes what has changed, one batch after the other. Does nothing while the one before goes on.
  void save();

  // All that has changed, to be written at once when the process ends.
  std::vector<StoreWrite> unsaved() const;

 private:
  struct Saved {
    base::WallTime created_at{};  // of the stream: one that is created again is another one
    base::WallTime since{};
    Traffic traffic;
  };

  // How it is in the store, or would be with nothing carried yet.
  Saved saved_of(const Stream& stream) const;
  bool has_changed(const Stream& stream) const;
  Saved now(const Stream& stream) const;
  SaveTraffic write(std::uint16_t port, const Saved& now) const;
  void save_some();

  const StreamMap& streams_;
  StreamStore& store_;
  const DataPlane& plane_;
  const base::Clock& clock_;
  std::map<std::uint16_t, Saved> saved_;
  std::deque<std::uint16_t> to_save_;  // of the save that goes on
  bool is_saving_ = false;
};

}  // namespace sc::core
