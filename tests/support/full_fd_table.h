#pragma once

#include <fcntl.h>
#include <sys/resource.h>

#include <cerrno>
#include <stdexcept>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace sc::test {

// While it lives, this process can open no further descriptor: EMFILE. No other test may run beside
// it in this process.
class FullFdTable {
 public:
  FullFdTable() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    rlimit low = before_;
    low.rlim_cur = kLimit;
    if (::setrlimit(RLIMIT_NOFILE, &low) != 0)
      throw std::runtime_error(base::describe_errno("setrlimit", errno));
    while (true) {
      base::Fd fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
      if (!fd) break;
      fillers_.push_back(std::move(fd));
    }
  }
  FullFdTable(const FullFdTable&) = delete;
  FullFdTable& operator=(const FullFdTable&) = delete;
  ~FullFdTable() { ::setrlimit(RLIMIT_NOFILE, &before_); }

  // Makes room for so many.
  void free(std::size_t count) {
    for (; count > 0 && !fillers_.empty(); --count) fillers_.pop_back();
  }

 private:
  static constexpr rlim_t kLimit = 256;  // more than a test has open, few enough to fill

  rlimit before_{};
  std::vector<base::Fd> fillers_;
};

}  // namespace sc::test
