#include "relay/session_filter.h"

namespace sc::relay {

SessionFilter::SessionFilter(const core::SessionQuery& query)
    : port_(query.port),
      latest_(std::chrono::steady_clock::now() - query.min_age),
      min_bytes_(query.min_bytes) {
  if (!query.client) return;
  const auto parsed = net::Address::parse_ip(*query.client, 0);
  client_ = parsed ? net::PackedAddress(*parsed) : net::PackedAddress();  // of no client
}

bool SessionFilter::lets_through(const Session& session) const {
  return (!port_ || session.stream().spec->port == *port_) &&
         (!client_ || session.client().has_ip_of(*client_)) &&
         session.times().accepted <= latest_ && session.bytes() >= min_bytes_;
}

}  // namespace sc::relay
