#include "core/traffic_keeper.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace sc::core {
namespace {

// Sessions that run are not kept: they are counted anew.
Traffic lasting(Traffic traffic) {
  traffic.sessions_active = 0;
  return traffic;
}

}  // namespace

TrafficKeeper::TrafficKeeper(const StreamMap& streams, StreamStore& store, const DataPlane& plane,
                             const base::Clock& clock)
    : streams_(streams), store_(store), plane_(plane), clock_(clock) {}

void TrafficKeeper::start(const StoredStreams& stored) {
  for (const Stream& stream : stored.streams) {
    const auto known = stored.traffic.find(stream.spec.port);
    // Without, nobody counted before, or there was nothing to count.
    saved_.insert_or_assign(
        stream.spec.port,
        known == stored.traffic.end()
            ? Saved{stream.created_at, std::max(stream.created_at, clock_.wall()), {}}
            : Saved{stream.created_at, known->second.since, known->second.traffic});
  }
}

TrafficKeeper::Saved TrafficKeeper::saved_of(const Stream& stream) const {
  const auto known = saved_.find(stream.spec.port);
  if (known != saved_.end() && known->second.created_at == stream.created_at) return known->second;
  return {stream.created_at, stream.created_at, {}};
}

TrafficKeeper::Saved TrafficKeeper::now(const Stream& stream) const {
  Saved now = saved_of(stream);
  now.traffic = lasting(plane_.traffic(stream.spec.port));
  return now;
}

bool TrafficKeeper::has_changed(const Stream& stream) const {
  return now(stream).traffic != saved_of(stream).traffic;
}

SaveTraffic TrafficKeeper::write(std::uint16_t port, const Saved& now) const {
  return {port, now.created_at, {now.since, clock_.wall(), clock_.boot(), now.traffic}};
}

void TrafficKeeper::save() {
  if (is_saving_) return;
  std::erase_if(saved_, [this](const auto& each) { return !streams_.contains(each.first); });
  for (const auto& [port, stream] : streams_)
    if (has_changed(stream)) to_save_.push_back(port);
  save_some();
}

void TrafficKeeper::save_some() {
  std::vector<std::pair<std::uint16_t, Saved>> batch;
  std::vector<StoreWrite> writes;
  for (; !to_save_.empty() && batch.size() < kBatch; to_save_.pop_front()) {
    const auto found = streams_.find(to_save_.front());
    if (found == streams_.end()) continue;  // removed meanwhile
    batch.emplace_back(found->first, now(found->second));
    writes.emplace_back(write(found->first, batch.back().second));
  }
  is_saving_ = !batch.empty();
  if (!is_saving_) return;
  store_.commit(std::move(writes), [this, batch = std::move(batch)](base::Result<void> saved) {
    if (saved) {
      for (const auto& [port, as_saved] : batch) saved_.insert_or_assign(port, as_saved);
    } else {
      base::log::error("what streams have carried was not written to the database",
                       {{"reason", saved.error().message}});
      to_save_.clear();  // until the next time
    }
    save_some();
  });
}

std::vector<StoreWrite> TrafficKeeper::unsaved() const {
  std::vector<StoreWrite> writes;
  for (const auto& [port, stream] : streams_)
    if (has_changed(stream)) writes.emplace_back(write(port, now(stream)));
  return writes;
}

}  // namespace sc::core
