#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>

#include "base/callback.h"
#include "base/clock.h"
#include "base/result.h"
#include "core/stream_store.h"

namespace sc::core {

// Deletes history that is older than the time to keep it, in passes over all ports. A pass has many
// short steps with pauses, in which the store's thread does other work. Control thread only.
class HistoryPruner {
 public:
  // Calls the function once, after the delay; not at all if its owner is destroyed first.
  using Later = std::function<void(std::chrono::milliseconds, base::Callback<void()>)>;

  static constexpr std::chrono::milliseconds kFirst = std::chrono::seconds(5);  // after start()
  static constexpr std::chrono::milliseconds kEvery = std::chrono::minutes(10);
  // Between two steps: as long as the step before took, but not less than this. So pruning leaves
  // half of the store's time to others, however slow the disk is.
  static constexpr std::chrono::milliseconds kLeastPause{5};

  // `keep` 0: for ever, and nothing is deleted.
  HistoryPruner(StreamStore& store, const base::Clock& clock, std::chrono::milliseconds keep,
                Later later);
  HistoryPruner(const HistoryPruner&) = delete;
  HistoryPruner& operator=(const HistoryPruner&) = delete;

  void start();
  // No further step begins.
  void stop() { is_stopped_ = true; }

 private:
  void begin_pass();
  void step(std::uint16_t from_port);
  void on_step(base::Instant began, const base::Result<PruneStep>& done);
  void end_pass();

  StreamStore& store_;
  const base::Clock& clock_;
  const std::chrono::milliseconds keep_;
  const Later later_;

  bool is_stopped_ = false;
  base::WallTime before_{};  // of the pass
  std::size_t deleted_ = 0;  // in the pass
};

}  // namespace sc::core
