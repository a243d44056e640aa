#pragma once

#include <string>

#include "base/result.h"

namespace sc {

// Gives up root's rights, for good, and goes on as the owner of the folder, so that the files that
// a command makes there belong to the service. It also keeps root from following a link that the
// service's user put there. Does nothing if the folder is missing or root's, or this is not root.
base::Result<void> become_owner_of(const std::string& folder);

}  // namespace sc
