#include "relay/new_client.h"

#include <utility>

namespace sc::relay {

NewClient keep_at_once(handoff::Keeper& keeper, const SessionSpec& spec, net::Accepted accepted,
                       net::SpareSockets& spares) {
  NewClient client{std::move(accepted)};
  const int fd = client.accepted.fd.get();
  const handoff::SessionFacts facts = facts_of_new(spec, client.accepted.at, client.accepted.peer);
  // A name has to be looked up first.
  if (spec.backend_family != AF_UNSPEC) client.backend = spares.take(spec.backend_family);
  client.record =
      client.backend ? handoff::SessionRecord::make_dialing(keeper, facts, fd, client.backend.get())
                     : handoff::SessionRecord::make_client(keeper, facts, fd);
  client.was_refused = client.record == nullptr;
  return client;
}

handoff::SessionFacts facts_of_new(const SessionSpec& spec, base::Instant accepted_at,
                                   const net::Address& peer) {
  handoff::SessionFacts facts;
  facts.port = spec.port;
  facts.stream_created_at = spec.created_at;
  facts.started_at = facts.last_byte_at =
      std::chrono::floor<std::chrono::milliseconds>(accepted_at.time_since_epoch()).count();
  facts.peer = peer;
  return facts;
}

}  // namespace sc::relay
