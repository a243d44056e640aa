#include "part_options.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "api/problem.h"
#include "base/log.h"
#include "config/group.h"
#include "net/socket.h"
#include "net/source_ports.h"
#include "relay/pipe_pool.h"

namespace sc {
namespace {

// Standard streams, log, database, loops, and the sockets of the resolver: two for each name
// server, or some for each thread of RESOLVER=system.
constexpr std::size_t kOtherDescriptors = 128;
constexpr std::size_t kWorkerDescriptors =
    8;  // two epoll sets, a pipe, an eventfd, two spare sockets, a capsule

std::size_t other_descriptors(std::size_t workers) {
  return kOtherDescriptors + (relay::PipePool::kKept + kWorkerDescriptors) * workers;
}

api::Trust to_trust(config::ApiAuth auth) {
  switch (auth) {
    case config::ApiAuth::remote:
      return api::Trust::remote;
    case config::ApiAuth::always:
      return api::Trust::always;
    case config::ApiAuth::off:
      return api::Trust::off;
  }
  return api::Trust::always;
}

}  // namespace

// The kernel may give one of these to a connection of this host.
bool overlap_source_ports(const core::PortRanges& ports) {
  return std::any_of(
      ports.ranges().begin(), ports.ranges().end(),
      [](const core::PortRange& range) { return net::may_be_source(range.first, range.last); });
}

void warn_of_overlap(const core::PortRanges& ports) {
  const auto given = net::source_ports();
  if (!given || !overlap_source_ports(ports)) return;
  base::log::warning(
      "PORT_RANGE overlaps the source ports of this host",
      {{"port_range", ports.to_string()},
       {"ip_local_port_range", std::to_string(given->first) + "-" + std::to_string(given->last)},
       {"effect", "a connection of another process can keep a stream from opening its port"},
       {"remedy", "reserve PORT_RANGE by the sysctl net.ipv4.ip_local_reserved_ports"}});
}

std::size_t worker_count(const config::Settings& settings) {
  return settings.workers > 0 ? settings.workers
                              : std::max(1U, std::thread::hardware_concurrency());
}

std::size_t descriptors_for_streams(std::size_t workers) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return relay::AdmissionLimits::kNone;
  return descriptors_for_streams(limit.rlim_cur, workers);
}

std::size_t descriptors_for_streams(std::size_t all, std::size_t workers) {
  const std::size_t reserve = http::ServerOptions{}.max_clients + other_descriptors(workers);
  return all - std::min(reserve, all / 4);
}

ApiPlaces places_for_api(std::size_t all, std::size_t workers) {
  const http::ServerOptions usual;
  const std::size_t reserve = all - descriptors_for_streams(all, workers);
  // Of a very small limit a quarter of the reserve, as the rest seldom takes all of its part.
  const std::size_t left = reserve - std::min(reserve, other_descriptors(workers));
  const std::size_t places =
      std::max<std::size_t>(std::min(std::max(left, reserve / 4), usual.max_clients), 2);
  return {places, std::min(usual.reserved_clients, places / 2)};
}

relay::WorkerPoolOptions pool_options(const config::Settings& settings,
                                      const std::vector<base::Fd>& api_listeners,
                                      handoff::Vault* vault) {
  relay::WorkerPoolOptions options;
  options.vault = vault;
  // A stream that led there would make everybody a caller from loopback.
  for (const base::Fd& fd : api_listeners)
    if (const std::uint16_t port = net::local_address(fd.get()).port(); port != 0)
      options.session.denied_ports.push_back(port);
  options.workers = worker_count(settings);
  options.session.shares_ports = overlap_source_ports(settings.port_range);
  options.session.durable_after = settings.durable_after;
  options.logged_sessions = settings.log_sessions;
  options.session.connect_timeout = settings.connect_timeout;
  options.resolver.mode = settings.resolver == config::Resolver::system
                              ? net::ResolverOptions::Mode::system
                              : net::ResolverOptions::Mode::dns;
  options.resolver.timeout = settings.resolve_timeout;
  options.resolver.stale = settings.resolve_stale;
  options.session.idle_timeout = settings.idle_timeout;
  options.session.lifetime = settings.session_lifetime;
  options.session.keepalive.idle =
      std::chrono::duration_cast<std::chrono::seconds>(settings.keepalive);
  if (auto address = net::Address::parse_ip(settings.stream_address, 0))
    options.listen_address = *address;
  if (settings.max_sessions > 0) options.limits.sessions = settings.max_sessions;
  if (settings.max_sessions_per_stream > 0)
    options.limits.sessions_per_stream = settings.max_sessions_per_stream;
  options.limits.descriptors = descriptors_for_streams(options.workers);
  return options;
}

api::AuthOptions auth_options(const config::Settings& settings,
                              const std::vector<base::Fd>& api_listeners,
                              std::function<bool(const net::Address&)> is_own_address) {
  api::AuthOptions options;
  std::vector<net::Address> addresses;
  addresses.reserve(api_listeners.size());
  for (const base::Fd& fd : api_listeners) addresses.push_back(net::local_address(fd.get()));
  options.local_url = api::local_url(addresses);
  options.is_own_address = std::move(is_own_address);
  options.trust = to_trust(settings.api_auth);
  options.hosts = settings.api_hosts;
  // A group that has gone since the settings were read has no members.
  if (!settings.api_admin_group.empty())
    options.admin_group =
        config::find_group(settings.api_admin_group).value_or(static_cast<gid_t>(-1));
  options.own_uid = ::geteuid();
  return options;
}

http::ServerOptions server_options(std::size_t workers) {
  http::ServerOptions options;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    const ApiPlaces places = places_for_api(limit.rlim_cur, workers);
    options.max_clients = places.all;
    options.reserved_clients = places.reserved;
  }
  options.error_body = [](int status, const std::string& detail) {
    return api::problem(status, detail);
  };
  return options;
}

}  // namespace sc
