#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/address.h"

namespace sc::net {

// What /etc/resolv.conf says (resolv.conf(5)). Unknown lines and options are ignored, as glibc
// does; so are sortlist, inet6, single-request, no-check-names and trust-ad, which change nothing
// here.
struct ResolvConf {
  static constexpr std::size_t kMostServers = 3;  // MAXNS of glibc
  static constexpr std::size_t kMostDomains = 32;

  std::vector<Address> servers;  // with their port; at least one
  std::vector<std::string> search;
  unsigned ndots = 1;                           // 0 to 15
  std::optional<std::chrono::seconds> timeout;  // nullopt: not set
  std::optional<unsigned> attempts;             // nullopt: not set
  bool rotate = false;
  bool use_vc = false;
  bool edns0 = false;
  bool no_aaaa = false;

  bool operator==(const ResolvConf&) const = default;
};

// What else decides: the environment's LOCALDOMAIN and RES_OPTIONS, and the host's own name, whose
// domain is searched if nothing else is set. Empty: not set.
struct ResolvEnvironment {
  std::string local_domain;
  std::string options;
  std::string host_name;
  std::uint16_t port = 53;  // of the servers; another one for tests
};

ResolvConf parse_resolv_conf(std::string_view text, const ResolvEnvironment& environment);

// The absolute names to ask for, in order, for a name as it was configured.
std::vector<std::string> search_candidates(const ResolvConf& conf, std::string_view name);

}  // namespace sc::net
