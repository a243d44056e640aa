#include "base/fd_room.h"

#include <fcntl.h>
#include <sys/resource.h>

#include <algorithm>

#include "base/fd.h"

namespace sc::base {

void make_fd_room(std::size_t count) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  const auto last = static_cast<int>(std::min<rlim_t>({count, limit.rlim_cur, 1U << 30}) - 1);
  const Fd any(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (any) const Fd farthest(::fcntl(any.get(), F_DUPFD_CLOEXEC, last));
}

}  // namespace sc::base
