#pragma once

#include <cstddef>

namespace sc::base {

// Lengthens the kernel's table of this process's descriptors for `count` of them, at 8 bytes each
// and up to RLIMIT_NOFILE's soft limit. In a process of several threads it grows by doubling, and
// each time waits for an RCU grace period, some 10 ms in which no thread gets a descriptor; for one
// thread alone it costs nothing (expand_fdtable in the kernel's fs/file.c). So: before the first
// thread is made. What the kernel does not give, it gives later.
void make_fd_room(std::size_t count);

}  // namespace sc::base
