#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "api/auth.h"
#include "base/fd.h"
#include "config/settings.h"
#include "handoff/vault.h"
#include "http/server.h"
#include "relay/worker_pool.h"

namespace sc {

// What the parts of the daemon are told, of the settings and the host's limits. Any thread.

std::size_t worker_count(const config::Settings& settings);
// Some of these ports may be given to a connection of this host (net/source_ports). It is no
// degraded service: its own connections keep no stream from its port, and reserved ports are left
// out.
bool overlap_source_ports(const core::PortRanges& ports);
void warn_of_overlap(const core::PortRanges& ports);
// What the process may open, less a reserve: for all clients of the API, for the pipes that workers
// keep, and for the rest, the database and name look-ups above all. Of a small limit a quarter.
std::size_t descriptors_for_streams(std::size_t workers);
// The same of a process that may open `all`.
std::size_t descriptors_for_streams(std::size_t all, std::size_t workers);
// `vault` may be null.
relay::WorkerPoolOptions pool_options(const config::Settings& settings,
                                      const std::vector<base::Fd>& api_listeners,
                                      handoff::Vault* vault);
// `is_own_address` returns whether an address belongs to this host.
api::AuthOptions auth_options(const config::Settings& settings,
                              const std::vector<base::Fd>& api_listeners,
                              std::function<bool(const net::Address&)> is_own_address);
// Of the process's limit of descriptors, the API has what descriptors_for_streams() leaves, less
// what the rest takes. So its clients find a descriptor also when the streams have all of theirs.
http::ServerOptions server_options(std::size_t workers);
// As many clients of the API as a process that may open `all` has descriptors for, and how many of
// these are kept for trusted ones.
struct ApiPlaces {
  std::size_t all = 0;
  std::size_t reserved = 0;
};
ApiPlaces places_for_api(std::size_t all, std::size_t workers);

}  // namespace sc
