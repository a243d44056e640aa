#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "core/session.h"
#include "net/address.h"
#include "net/dialer.h"
#include "relay/relay_end.h"
#include "relay/stream_context.h"

namespace sc::relay {

// When what happened in a session; since it was accepted. A value.
struct SessionTimes {
  static constexpr std::uint32_t kNever = UINT32_MAX;

  base::Instant accepted{};
  base::WallTime accepted_wall{};
  std::uint32_t resolved = kNever;   // us, at most about an hour, as the next one
  std::uint32_t connected = kNever;  // us; never: not reached, or by a former process
  std::int64_t first_byte = -1;      // us; below 0: none came, or likewise

  std::chrono::microseconds since_accepted(base::Instant at) const {
    return std::chrono::duration_cast<std::chrono::microseconds>(at - accepted);
  }
  std::uint32_t mark(base::Instant at) const;
};

// What is remembered of a session only when something went wrong on its way.
struct SessionTrouble {
  std::vector<net::DialTry> tried;
  std::string detail;  // see core::EndedSession
};

// How a session ended, compact, as it is made for each one and kept of thousands.
struct SessionEnd {
  core::SessionId id = 0;
  std::shared_ptr<const SessionSpec> spec;
  net::PackedAddress client;
  net::PackedAddress address;  // of the backend that was reached, if one was
  core::EndReason reason = core::EndReason::finished;
  core::SessionPhase phase = core::SessionPhase::accept;
  int error = 0;
  SessionTimes times;
  std::chrono::microseconds ended_after{0};
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  std::unique_ptr<SessionTrouble> trouble;  // null: nothing to tell
};

core::EndedSession to_told(const SessionEnd& end);
std::vector<core::DialAttempt> to_told(const std::vector<net::DialTry>& tried);
core::EndReason reason_of(net::DialFailure failure);

// Why a relay could not start.
struct StartFailure {
  core::EndReason reason = core::EndReason::internal;
  int error = 0;       // errno of epoll_ctl(2), if that failed
  std::string detail;  // with the remedy, if there is one
};
StartFailure start_failure(const std::exception& failure);

// The reason of a session that was relayed: a reset with an errno of this host is no peer's, and a
// client that leaves without a byte either way is no failure.
core::EndReason judge(const RelayEnd& how);

}  // namespace sc::relay
