#include "relay/session_end.h"

#include <algorithm>
#include <optional>

#include "loop/poll.h"
#include "net/error_blame.h"

namespace sc::relay {
namespace {

static_assert(net::DialTrace::kMost == core::kMostAttempts);

core::DialAttempt::Result to_result(net::DialTry::Result result) {
  switch (result) {
    case net::DialTry::Result::connected:
      return core::DialAttempt::Result::connected;
    case net::DialTry::Result::failed:
      return core::DialAttempt::Result::failed;
    case net::DialTry::Result::denied:
      return core::DialAttempt::Result::denied;
    case net::DialTry::Result::loop:
      return core::DialAttempt::Result::loop;
    case net::DialTry::Result::abandoned:
      break;
  }
  return core::DialAttempt::Result::abandoned;
}

}  // namespace

std::uint32_t SessionTimes::mark(base::Instant at) const {
  return static_cast<std::uint32_t>(
      std::clamp<std::int64_t>(since_accepted(at).count(), 0, std::int64_t{kNever} - 1));
}

core::EndReason reason_of(net::DialFailure failure) {
  switch (failure) {
    case net::DialFailure::unresolved:
      return core::EndReason::backend_unresolved;
    case net::DialFailure::refused:
      return core::EndReason::backend_refused;
    case net::DialFailure::timeout:
      return core::EndReason::backend_timeout;
    case net::DialFailure::exhausted:
    case net::DialFailure::host:
      return core::EndReason::host;
    case net::DialFailure::denied:
      return core::EndReason::denied;
    case net::DialFailure::loop:
      return core::EndReason::loop;
    case net::DialFailure::internal:
      break;
  }
  return core::EndReason::internal;
}

StartFailure start_failure(const std::exception& failure) {
  StartFailure told;
  told.detail = failure.what();
  const auto* poll = dynamic_cast<const loop::PollError*>(&failure);
  if (poll == nullptr) return told;
  told.error = poll->number;
  if (net::blame_of(net::ErrorStep::poll, poll->number) != net::Blame::lack) return told;
  told.reason = core::EndReason::host;
  told.detail += "; " + net::remedy_of(net::ErrorStep::poll, poll->number, {});
  return told;
}

core::EndReason judge(const RelayEnd& how) {
  if (how.left_empty) return core::EndReason::empty;
  if (how.reason != core::EndReason::client_reset && how.reason != core::EndReason::backend_reset)
    return how.reason;
  switch (net::blame_of(net::ErrorStep::relay, how.error)) {
    case net::Blame::way:
    case net::Blame::lack:
      return core::EndReason::host;
    case net::Blame::service:
      return core::EndReason::internal;
    case net::Blame::peer:
      break;
  }
  return how.reason;
}

std::vector<core::DialAttempt> to_told(const std::vector<net::DialTry>& tried) {
  std::vector<core::DialAttempt> told;
  told.reserve(tried.size());
  for (const net::DialTry& each : tried)
    told.push_back({each.address.to_string(), to_result(each.result), each.error, each.took});
  return told;
}

core::EndedSession to_told(const SessionEnd& end) {
  core::EndedSession told;
  told.id = end.id;
  told.port = end.spec->port;
  told.client = end.client.to_string();
  told.backend = end.spec->backend;
  told.address = end.address.to_string();
  told.reason = end.reason;
  told.phase = end.phase;
  told.error = end.error;
  told.accepted_at = end.times.accepted_wall;
  if (end.times.resolved != SessionTimes::kNever)
    told.resolved_after = std::chrono::microseconds(end.times.resolved);
  if (end.times.connected != SessionTimes::kNever)
    told.connected_after = std::chrono::microseconds(end.times.connected);
  if (end.times.first_byte >= 0)
    told.first_byte_after = std::chrono::microseconds(end.times.first_byte);
  told.ended_after = end.ended_after;
  told.bytes_in = end.bytes_in;
  told.bytes_out = end.bytes_out;
  if (end.trouble) {
    told.detail = end.trouble->detail;
    told.tried = to_told(end.trouble->tried);
  }
  return told;
}

}  // namespace sc::relay
