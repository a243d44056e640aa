#pragma once

#include <cstddef>
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
// What the process may open, less a reserve: for all clients of the API, for the pipes that workers
// keep, and for the rest, the database and name look-ups above all. Of a small limit a quarter.
std::size_t descriptors_for_streams(std::size_t workers);
// The same of a process that may open `all`.
std::size_t descriptors_for_streams(std::size_t all, std::size_t workers);
// `vault` may be null.
relay::WorkerPoolOptions pool_options(const config::Settings& settings,
                                      const std::vector<base::Fd>& api_listeners,
                                      handoff::Vault* vault);
api::AuthOptions auth_options(const config::Settings& settings);
http::ServerOptions server_options();

}  // namespace sc
