#pragma once

#include <cstddef>

#include "base/fd.h"

namespace sc::base {

// A pipe whose both ends are one descriptor, non-blocking: opened for both (fifo(7)), so it never
// ends. Invalid, with errno, when the host gives none. Any thread.
Fd open_pipe();

// Bytes that it takes when filled with whole pages; 0 for what is no pipe. Any thread.
std::size_t pipe_capacity(int pipe);

}  // namespace sc::base
