#pragma once

#include "base/fd.h"

namespace sc::base {

// A pipe whose both ends are one descriptor, non-blocking: opened for both (fifo(7)), so it never
// ends. Invalid, with errno, when the host gives none. Any thread.
Fd open_pipe();

}  // namespace sc::base
