#pragma once

#include <string_view>

namespace sc::relay {

// Why a session ended. Metric label, log field and API word alike.
enum class EndReason : unsigned char {
  finished,            // both sides ended in order
  client_reset,        // the client's side broke off, or was found dead by keepalive
  backend_reset,       // the backend's side did
  backend_refused,     // no address of the backend took the connection
  backend_timeout,     // none did within the connect timeout
  backend_unresolved,  // the backend's name has no address
  idle_timeout,        // no byte either way for as long as the setting allows
  lifetime,            // older than its stream allows
  denied,              // the client is not let in, or not led where the stream leads
  limit,               // a limit of sessions or descriptors was reached
  drained,             // still running when the drain time was over
  killed,              // ended by an operator
  internal,            // a fault of ours or of the host
};

std::string_view to_string(EndReason reason);

}  // namespace sc::relay
