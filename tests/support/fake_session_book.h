#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/session_book.h"

namespace sc::test {

// A SessionBook in memory that answers at once, with what the test has put in.
class FakeSessionBook final : public core::SessionBook {
 public:
  void sessions(const core::SessionQuery& query,
                base::Callback<void(core::SessionPage)> on_done) override {
    queries.push_back(query);
    on_done({running, next_page, silent});
  }
  void session(
      core::SessionId id,
      base::Callback<void(base::Result<std::optional<core::SessionDetails>>)> on_done) override {
    if (!silent.empty()) return on_done(base::Error{base::Errc::unavailable, "no answer"});
    for (const core::RunningSession& each : running)
      if (each.id == id)
        return on_done(std::optional(core::SessionDetails{each, client_socket, {}, tried}));
    on_done(std::optional<core::SessionDetails>());
  }
  void kill(
      core::SessionId id,
      base::Callback<void(base::Result<std::optional<core::EndedSession>>)> on_done) override {
    const auto found = std::find_if(running.begin(), running.end(),
                                    [id](const auto& each) { return each.id == id; });
    if (found == running.end()) return on_done(std::optional<core::EndedSession>());
    core::EndedSession ended;
    ended.id = id;
    ended.port = found->port;
    ended.client = found->client;
    ended.backend = found->backend;
    ended.reason = core::EndReason::killed;
    running.erase(found);
    on_done(std::optional(std::move(ended)));
  }
  core::Failures failures(std::uint16_t /*port*/) const override { return failed; }
  std::optional<core::Resolution> resolution(const core::Backend& /*backend*/) override {
    return resolved;
  }
  void watch(Watch what) override { watched.push_back(what); }
  core::SessionNews take_news() override {
    ++asked;
    return std::exchange(news, {});
  }
  void check(const core::StreamSpec& /*spec*/,
             base::Callback<void(core::CheckReport)> on_done) override {
    if (!holds_checks) return on_done(report);
    checks.push_back(std::move(on_done));
  }

  std::vector<core::RunningSession> running;
  std::optional<core::SessionId> next_page;        // that is told of any
  std::vector<std::string> silent;                 // threads that do not answer
  std::optional<core::SocketFacts> client_socket;  // of each
  std::vector<core::DialAttempt> tried;            // likewise
  core::Failures failed;                           // of any stream
  std::optional<core::Resolution> resolved;        // any backend's name
  core::CheckReport report;                        // of any backend
  bool holds_checks = false;                       // until the test answers
  std::vector<base::Callback<void(core::CheckReport)>> checks;
  std::vector<core::SessionQuery> queries;  // all that were asked
  core::SessionNews news;
  std::vector<Watch> watched;  // all that was asked for, in order
  int asked = 0;               // for news
};

}  // namespace sc::test
