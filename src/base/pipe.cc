#include "base/pipe.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <string>

namespace sc::base {

// The opening of its own name makes one descriptor of both ends (proc(5): /proc/self/fd).
Fd open_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_NONBLOCK | O_CLOEXEC) != 0) return {};
  const Fd read(ends[0]);
  const Fd write(ends[1]);
  const std::string name = "/proc/self/fd/" + std::to_string(ends[0]);
  return Fd(::open(name.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
}

std::size_t pipe_capacity(int pipe) {
  const int size = ::fcntl(pipe, F_GETPIPE_SZ);
  return size > 0 ? static_cast<std::size_t>(size) : 0;
}

}  // namespace sc::base
