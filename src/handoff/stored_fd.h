#pragma once

#include <string>

#include "base/fd.h"

namespace sc::handoff {

// A descriptor that the manager gave back at the start.
struct StoredFd {
  std::string name;
  base::Fd fd;
};

}  // namespace sc::handoff
