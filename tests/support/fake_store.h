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
        const auto* add = std::get_if<core::AddStream>(&write);
        if (add == nullptr) continue;
        const auto row = rows.find(add->stream.spec.port);
        if (row == rows.end() || row->second.spec == add->stream.spec) continue;
        done(base::Error{base::Errc::conflict, "the database has a row for the port"});
        return;
      }
      for (core::StoreWrite& write : held) apply(write);
      done({});
    });
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
      done(std::move(stored));
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
                      std::to_string(event.port) + " by " + event.actor);
    return lines;
  }

  std::map<std::uint16_t, core::Stream> rows;
  std::vector<core::Event> events;
  std::vector<core::UnreadableRow> unreadable;
  std::optional<base::Error> failure;  // what every call is answered with

 private:
  void apply(core::StoreWrite& write) {
    if (auto* add = std::get_if<core::AddStream>(&write)) {
      rows.emplace(add->stream.spec.port, add->stream);
    } else if (auto* note = std::get_if<core::NoteStream>(&write)) {
      const auto row = rows.find(note->stream.spec.port);
      if (row != rows.end() && row->second.spec == note->stream.spec) row->second = note->stream;
    } else if (auto* erase = std::get_if<core::EraseStream>(&write)) {
      rows.erase(erase->port);
    } else if (auto* append = std::get_if<core::AppendEvent>(&write)) {
      events.push_back(append->event);
    }
  }

  std::deque<base::Callback<void()>> waiting_;
};

}  // namespace sc::test
