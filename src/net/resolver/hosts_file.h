#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "net/address.h"

namespace sc::net {

// Returns the addresses that a hosts(5) file has for a name: in the order of the file, port 0, at
// most kMostHostsAddresses. `name` is in lower case without a dot at the end. Lines of the same
// name add up, as with `multi on` of host.conf(5). Reads the whole text: the result is worth
// keeping.
constexpr std::size_t kMostHostsAddresses = 32;
std::vector<Address> find_in_hosts(std::string_view text, std::string_view name);

// Returns whether the name is `localhost` or below it, which stays on the host (RFC 6761 section
// 6.3).
bool is_localhost(std::string_view name);
// Is it below `invalid`, where no name exists (RFC 6761 section 6.4)?
bool is_invalid(std::string_view name);

}  // namespace sc::net
