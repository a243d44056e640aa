#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "core/port_range.h"
#include "core/session.h"

namespace sc::config {

// Who may use the API without a token.
enum class ApiAuth : unsigned char {
  remote,  // peers on a loopback address and of the unix socket
  always,  // peers of the unix socket
  off,     // everybody
};

std::string_view to_string(ApiAuth auth);

// The inclusive 9000-9009.
core::PortRanges default_port_range();

// Everything that an operator can set, with its default. A value; what each one takes, in words and
// in code, stands in setting_table.cc.
// The way in which names of backends are resolved.
enum class Resolver : unsigned char {
  dns,     // the service itself: the hosts file, then DNS
  system,  // getaddrinfo(3), with the modules of nsswitch.conf(5)
};

std::string_view to_string(Resolver resolver);

struct Settings {
  core::PortRanges port_range = default_port_range();
  std::string bind_address = "0.0.0.0";  // of the API; an IP literal
  std::uint16_t bind_port = 5000;        // of the API; 0: one that is free
  std::string stream_address;            // an IP literal; empty: all, dual-stack
  std::string state_directory = "/var/lib/stream-conductor";
  std::chrono::milliseconds history_keep = std::chrono::days(400);  // 0: for ever
  unsigned workers = 0;                       // threads; 0: as many as there are cores
  std::uint32_t max_sessions = 0;             // 0: as many as there are descriptors for
  std::uint32_t max_sessions_per_stream = 0;  // 0: no limit of its own
  std::chrono::milliseconds connect_timeout = std::chrono::seconds(5);
  Resolver resolver = Resolver::dns;
  std::chrono::milliseconds resolve_timeout = std::chrono::seconds(5);
  std::chrono::milliseconds resolve_stale = std::chrono::hours(1);  // 0: none
  std::chrono::milliseconds idle_timeout{0};                        // 0: none
  std::chrono::milliseconds session_lifetime{0};                    // 0: no limit
  std::chrono::milliseconds keepalive = std::chrono::seconds(60);   // whole seconds; 0: off
  std::chrono::milliseconds drain_timeout = std::chrono::seconds(10);
  std::chrono::milliseconds durable_after{1000};  // 0: from the start
  base::log::Level log_level = base::log::Level::info;
  base::log::Format log_format = base::log::Format::text;
  core::LoggedSessions log_sessions = core::LoggedSessions::failed;
  ApiAuth api_auth = ApiAuth::remote;
  std::vector<std::string> api_hosts;  // names that the API is asked by, see comparable_host()
  std::string api_admin_group;         // name or number of one of this host's; empty: none
  bool insecure = false;               // api_auth=off is allowed for other hosts

  bool operator==(const Settings&) const = default;
};

}  // namespace sc::config
