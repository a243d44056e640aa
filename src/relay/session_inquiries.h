#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/callback.h"
#include "base/result.h"
#include "core/session.h"
#include "relay/worker.h"

namespace sc::relay {

// What is asked of the workers about their sessions, until they have answered. Control thread.
class SessionInquiries {
 public:
  using OnPage = base::Callback<void(core::SessionPage)>;
  using OnDetails = base::Callback<void(base::Result<std::optional<core::SessionDetails>>)>;
  using OnEnded = base::Callback<void(base::Result<std::optional<core::EndedSession>>)>;

  // How many ticks a worker has to answer.
  static constexpr unsigned kPatience = 20;

  explicit SessionInquiries(const std::vector<std::unique_ptr<Worker>>& workers)
      : workers_(workers) {}
  SessionInquiries(const SessionInquiries&) = delete;
  SessionInquiries& operator=(const SessionInquiries&) = delete;

  // As core::SessionBook has them.
  void list(const core::SessionQuery& query, OnPage on_done);
  void look_up(core::SessionId id, OnDetails on_done);
  void kill(core::SessionId id, OnEnded on_done);

  void handle(SessionsListed answer);
  void handle(SessionLookedUp answer);
  void handle(SessionKilled answer);

  // Whether an answer is waited for; then tick() is due every now and then.
  bool waits() const { return !listings_.empty() || !looked_up_.empty() || !killed_.empty(); }
  // Answers without the workers that have not answered in time.
  void tick();

 private:
  struct Listing {
    core::SessionQuery query;
    OnPage on_done;
    std::vector<std::size_t> found;  // by worker
    std::vector<core::RunningSession> sessions;
    std::vector<bool> is_asked;  // by worker: its answer is missing
    std::size_t still_asked = 0;
    unsigned ticks = 0;
    bool has_more = false;
  };

  template <class OnDone>
  struct Question {
    std::size_t worker = 0;
    OnDone on_done;
    unsigned ticks = 0;
  };
  template <class OnDone>
  using Questions = std::unordered_map<std::uint64_t, Question<OnDone>>;

  // A worker that does not have the session answers so, later, as any other.
  std::size_t worker_of(core::SessionId id) const;
  bool is_late(std::size_t worker, unsigned& ticks) const;
  void finish(std::uint64_t number);
  template <class OnDone>
  void give_up(Questions<OnDone>& questions);
  static core::SessionPage to_page(Listing listing);

  const std::vector<std::unique_ptr<Worker>>& workers_;
  std::uint64_t next_ = 1;
  std::unordered_map<std::uint64_t, Listing> listings_;
  Questions<OnDetails> looked_up_;
  Questions<OnEnded> killed_;
};

}  // namespace sc::relay
