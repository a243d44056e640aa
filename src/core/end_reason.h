#pragma once

#include <cstddef>
#include <string_view>

namespace sc::core {

// Why a session ended. Metric label, log field and API word alike.
enum class EndReason : unsigned char {
  finished,            // both sides ended in order
  empty,               // the client left soon, without a byte either way, as a health check does
  client_reset,        // the client's side broke off, or was found dead by keepalive
  backend_reset,       // the backend's side did
  backend_refused,     // no address of the backend took the connection
  backend_timeout,     // none did within the connect timeout
  backend_unresolved,  // the backend's name has no address
  idle_timeout,        // no byte either way for as long as the setting allows
  lifetime,            // older than its stream allows
  denied,              // the client is not let in, or not led where the stream leads
  loop,                // its way runs through the same stream of this service twice
  host,                // this host had no descriptor, memory, source port or route for it
  limit,               // counted by former versions, which had it for a lack of descriptors
  drained,             // still running when the drain time was over
  killed,              // ended by an operator
  internal,            // a fault of this service
};

constexpr std::size_t kEndReasons = 16;

std::string_view to_string(EndReason reason);

// Whether an operator should see it: in the failures, and in the log by default.
constexpr bool is_failure(EndReason reason) {
  return reason != EndReason::finished && reason != EndReason::empty;
}

// Who has to look into it.
enum class Fault : unsigned char {
  nobody,     // it ended as it should
  client,     // whoever came
  backend,    // where the stream leads, or the way there, its name among it
  policy,     // a setting of the stream or the service asked for it
  operator_,  // NOLINT: else a keyword. Somebody ended it: `operator`
  service,    // this process or its host
};

std::string_view to_string(Fault fault);
Fault fault_of(EndReason reason);

// How far a session had come when it ended.
enum class SessionPhase : unsigned char {
  accept,   // the client was taken, nothing done for it yet
  resolve,  // the backend's name was being looked up
  connect,  // its addresses were being tried
  relay,    // bytes could flow both ways
  close,    // one side had ended in order already
};

std::string_view to_string(SessionPhase phase);

}  // namespace sc::core
