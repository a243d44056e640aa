#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "core/session_book.h"

namespace sc::test {

// A SessionBook in memory that answers at once, with what the test has put in.
class FakeSessionBook final : public core::SessionBook {
 public:
  void sessions(const core::SessionQuery& /*query*/,
                base::Callback<void(core::SessionPage)> on_done) override {
    on_done({running, std::nullopt});
  }
  void session(core::SessionId id,
               base::Callback<void(std::optional<core::SessionDetails>)> on_done) override {
    for (const core::RunningSession& each : running)
      if (each.id == id) return on_done(core::SessionDetails{each, {}, {}, {}});
    on_done(std::nullopt);
  }
  void kill(core::SessionId /*id*/,
            base::Callback<void(std::optional<core::EndedSession>)> on_done) override {
    on_done(std::nullopt);
  }
  std::vector<core::EndedSession> failures(std::uint16_t /*port*/) const override { return {}; }
  void watch(Watch what) override { watched.push_back(what); }
  core::SessionNews take_news() override {
    ++asked;
    return std::exchange(news, {});
  }
  void check(const core::StreamSpec& /*spec*/,
             base::Callback<void(core::CheckReport)> on_done) override {
    on_done({});
  }

  std::vector<core::RunningSession> running;
  core::SessionNews news;
  std::vector<Watch> watched;  // all that was asked for, in order
  int asked = 0;               // for news
};

}  // namespace sc::test
