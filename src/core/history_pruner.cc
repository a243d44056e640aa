#include "core/history_pruner.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/log.h"

namespace sc::core {

using std::chrono::milliseconds;

HistoryPruner::HistoryPruner(StreamStore& store, const base::Clock& clock, milliseconds keep,
                             Later later)
    : store_(store), clock_(clock), keep_(keep), later_(std::move(later)) {}

void HistoryPruner::start() {
  if (keep_.count() > 0) later_(kFirst, [this] { begin_pass(); });
}

void HistoryPruner::begin_pass() {
  before_ = clock_.wall() - keep_;
  deleted_ = 0;
  step(0);
}

void HistoryPruner::step(std::uint16_t from_port) {
  if (is_stopped_) return;
  store_.prune_history(before_, from_port,
                       [this, began = clock_.steady()](const base::Result<PruneStep>& done) {
                         on_step(began, done);
                       });
}

void HistoryPruner::on_step(base::Instant began, const base::Result<PruneStep>& done) {
  if (!done) {
    base::log::warning("old history was not deleted, will be tried again",
                       {{"reason", done.error().message}});
    return end_pass();
  }
  deleted_ += done->deleted;
  if (!done->next_port) return end_pass();
  const auto took = std::chrono::ceil<milliseconds>(clock_.steady() - began);
  later_(std::max(kLeastPause, took), [this, port = *done->next_port] { step(port); });
}

void HistoryPruner::end_pass() {
  if (deleted_ > 0)
    base::log::info("old history deleted",
                    {{"events", std::to_string(deleted_)}, {"before", base::to_iso8601(before_)}});
  later_(kEvery, [this] { begin_pass(); });
}

}  // namespace sc::core
