#include "config/exposure.h"

#include <arpa/inet.h>
#include <netinet/in.h>

namespace sc::config {

bool is_loopback_literal(const std::string& ip) {
  in_addr v4{};
  if (::inet_pton(AF_INET, ip.c_str(), &v4) == 1) return ntohl(v4.s_addr) >> 24U == 127;
  in6_addr v6{};
  if (::inet_pton(AF_INET6, ip.c_str(), &v6) != 1) return false;
  return IN6_IS_ADDR_LOOPBACK(&v6) || (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 127);
}

std::optional<std::string> find_exposure(const Settings& settings, bool other_hosts_reach_it) {
  if (settings.api_auth != ApiAuth::off || settings.insecure || !other_hosts_reach_it)
    return std::nullopt;
  return "api_auth=off lets whoever reaches the API do everything, and other hosts reach it: bind "
         "it "
         "to 127.0.0.1, take tokens (api_auth=remote), or add --insecure";
}

}  // namespace sc::config
