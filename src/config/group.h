#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

namespace sc::config {

// By its name in the host's data base (getgrnam(3)), or by number, which need not be in there.
std::optional<gid_t> find_group(const std::string& name_or_number);

}  // namespace sc::config
