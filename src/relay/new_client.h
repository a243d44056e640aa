#pragma once

#include <memory>

#include "base/fd.h"
#include "handoff/session_record.h"
#include "net/own_paths.h"
#include "net/socket.h"
#include "net/spare_sockets.h"
#include "relay/stream_context.h"

namespace sc::relay {

// A client as it comes to a worker.
struct NewClient {
  net::Accepted accepted;
  std::unique_ptr<handoff::SessionRecord> record = nullptr;  // null: it is not kept yet
  bool was_refused = false;  // it was to be kept, and was counted as not kept
  base::Fd backend = {};     // made ahead, to dial the backend by; perhaps kept with the client
  // The connection of another stream of this service by which it came. Null: it came otherwise.
  std::shared_ptr<net::OwnDial> via = nullptr;
};

// Keeps a client that was accepted this moment: until then a kill loses it.
NewClient keep_at_once(handoff::Keeper& keeper, const SessionSpec& spec, net::Accepted accepted,
                       net::SpareSockets& spares);

// What can be told of it for the next process.
handoff::SessionFacts facts_of_new(const SessionSpec& spec, base::Instant accepted_at,
                                   const net::Address& peer);

}  // namespace sc::relay
