#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/callback.h"
#include "core/session.h"
#include "relay/worker.h"

namespace sc::relay {

// What is asked of the workers about their sessions, until they have answered. Control thread.
class SessionInquiries {
 public:
  using OnPage = base::Callback<void(core::SessionPage)>;
  using OnDetails = base::Callback<void(std::optional<core::SessionDetails>)>;
  using OnEnded = base::Callback<void(std::optional<core::EndedSession>)>;

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

 private:
  struct Listing {
    core::SessionQuery query;
    OnPage on_done;
    std::vector<std::size_t> found;  // by worker
    std::vector<core::RunningSession> sessions;
    std::size_t still_asked = 0;  // workers
    bool has_more = false;
  };

  // One that does not know an id of none says so, later, as any other.
  Worker& worker_of(core::SessionId id) const;
  static core::SessionPage to_page(Listing listing);

  const std::vector<std::unique_ptr<Worker>>& workers_;
  std::uint64_t next_ = 1;
  std::unordered_map<std::uint64_t, Listing> listings_;
  std::unordered_map<std::uint64_t, OnDetails> looked_up_;
  std::unordered_map<std::uint64_t, OnEnded> killed_;
};

}  // namespace sc::relay
