#pragma once

#include <optional>
#include <string>

#include "config/settings.h"

namespace sc::config {

// Do only processes of this host reach what listens there?
bool is_loopback_literal(const std::string& ip);

// Why the service must not start: everybody may do everything, other hosts reach it, and nobody has
// said that it shall be so.
std::optional<std::string> find_exposure(const Settings& settings, bool other_hosts_reach_it);

}  // namespace sc::config
