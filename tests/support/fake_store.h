#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/stream_store.h"

namespace sc::test {

// A StreamStore in memory that answers when the test says so.
class FakeStore final : public core::StreamStore {
 public:
  void commit(std::vector<core::StoreWrite> writes, OnCommitted on_done) override {
    waiting_.emplace_back([this, held = std::move(writes), done = std::move(on_done)]() mutable {
      if (failure) {
        done(*failure);
        return;
      }
      for (const core::StoreWrite& write : held) {
        if (!conflicts(write)) continue;
        done(base::Error{base::Errc::conflict, "the database has a row for the port"});
        return;
      }
      for (core::StoreWrite& write : held) apply(write);
      done({});
      if (on_recorded_) on_recorded_();
    });
  }

  void record(std::vector<core::StoreWrite> writes) override {
    commit(std::move(writes), [](const base::Result<void>&) {});
  }

  void load(OnLoaded on_done) override {
    waiting_.emplace_back([this, done = std::move(on_done)]() mutable {
      if (failure) {
        done(*failure);
        return;
      }
      core::StoredStreams stored;
      for (const auto& [port, stream] : rows) stored.streams.push_back(stream);
      stored.unreadable = unreadable;
      stored.traffic = traffic;
      done(std::move(stored));
    });
  }

  void history(const core::HistoryQuery& query, OnHistory on_done) override {
    waiting_.emplace_back([this, query, done = std::move(on_done)]() mutable {
      if (failure) {
        done(*failure);
        return;
      }
      ++pages_of_history;
      core::HistoryPage page;
      page.start = history_start;
      if (query.after_id) {
        page = page_after(query);
        done(std::move(page));
        return;
      }
      for (std::size_t i = events.size(); i > 0 && page.events.size() < query.limit; --i)
        page.events.push_back({static_cast<std::int64_t>(i), events[i - 1]});
      done(std::move(page));
    });
  }

  void set_on_recorded(base::Callback<void()> on_recorded) override {
    on_recorded_ = std::move(on_recorded);
  }

  void as_of(base::WallTime time, OnStreams on_done) override {
    waiting_.emplace_back([this, time, done = std::move(on_done)]() mutable {
      std::map<std::uint16_t, core::Stream> then;
      for (const core::Event& event : events) {
        if (event.at > time) continue;
        then.erase(event.port);
        if (!event.spec) continue;
        core::Stream stream;
        stream.spec = *event.spec;
        stream.created_at = stream.updated_at = event.at;
        then.emplace(event.port, stream);
      }
      std::vector<core::Stream> streams;
      for (auto& [port, stream] : then) streams.push_back(std::move(stream));
      done(std::move(streams));
    });
  }

  void prune_history(base::WallTime before, std::uint16_t from_port, OnPruned on_done) override {
    waiting_.emplace_back([this, before, from_port, done = std::move(on_done)]() mutable {
      if (failure) {
        done(*failure);
        return;
      }
      pruned.push_back({before, from_port});
      core::PruneStep step;
      if (!prune_steps.empty()) {
        step = prune_steps.front();
        prune_steps.pop_front();
      }
      done(step);
    });
  }

  // Carries out and answers the oldest call; the answer may make new ones.
  void answer_one() {
    auto call = std::move(waiting_.front());
    waiting_.pop_front();
    call();
  }
  void answer_all() {
    while (!waiting_.empty()) answer_one();
  }
  std::size_t waiting() const { return waiting_.size(); }

  // "created 9000 by tester", ...
  std::vector<std::string> story() const {
    std::vector<std::string> lines;
    for (const core::Event& event : events)
      lines.push_back(std::string(core::to_string(event.action)) + " " +
                      std::to_string(event.port) + " by " + event.actor.name);
    return lines;
  }

  std::map<std::uint16_t, core::Stream> rows;
  std::vector<core::Event> events;
  std::map<std::uint16_t, core::StoredTraffic> traffic;
  std::vector<core::UnreadableRow> unreadable;
  std::optional<base::Error> failure;                            // what every call is answered with
  std::size_t pages_of_history = 0;                              // how many were asked for
  std::vector<std::pair<base::WallTime, std::uint16_t>> pruned;  // each step's horizon and port
  std::deque<core::PruneStep> prune_steps;  // the answers; then one that says that all is done
  core::HistoryStart history_start;

 private:
  // As the real one judges rows that somebody wrote by hand.
  bool conflicts(const core::StoreWrite& write) const {
    if (const auto* add = std::get_if<core::AddStream>(&write)) {
      const auto row = rows.find(add->stream.spec.port);
      return row != rows.end() && row->second.spec != add->stream.spec;
    }
    if (const auto* replace = std::get_if<core::ReplaceStream>(&write)) {
      const auto row = rows.find(replace->stream.spec.port);
      return row == rows.end() || row->second.spec != replace->seen;
    }
    return false;
  }

  core::HistoryPage page_after(const core::HistoryQuery& query) const {
    core::HistoryPage page;
    page.start = history_start;
    page.newest_id = static_cast<std::int64_t>(events.size());
    for (std::size_t i = 0; i < events.size() && page.events.size() < query.limit; ++i) {
      const auto id = static_cast<std::int64_t>(i) + 1;
      if (id > *query.after_id && (!query.port || *query.port == events[i].port))
        page.events.push_back({id, events[i]});
    }
    return page;
  }

  void apply(core::StoreWrite& write) {
    if (auto* add = std::get_if<core::AddStream>(&write)) {
      rows.emplace(add->stream.spec.port, add->stream);
    } else if (auto* replace = std::get_if<core::ReplaceStream>(&write)) {
      rows.insert_or_assign(replace->stream.spec.port, replace->stream);
    } else if (auto* note = std::get_if<core::NoteStream>(&write)) {
      const auto row = rows.find(note->stream.spec.port);
      if (row != rows.end() && row->second.spec == note->stream.spec) row->second = note->stream;
    } else if (auto* erase = std::get_if<core::EraseStream>(&write)) {
      rows.erase(erase->port);
      traffic.erase(erase->port);
    } else if (auto* append = std::get_if<core::AppendEvent>(&write)) {
      events.push_back(append->event);
    } else if (auto* save = std::get_if<core::SaveTraffic>(&write)) {
      const auto row = rows.find(save->port);
      if (row != rows.end() && row->second.created_at == save->created_at)
        traffic.insert_or_assign(save->port, save->stored);
    }
  }

  base::Callback<void()> on_recorded_;
  std::deque<base::Callback<void()>> waiting_;
};

}  // namespace sc::test
