#pragma once

#include <dirent.h>

#include <cstdint>
#include <memory>

namespace sc {

// Counts the descriptors that this process has open. From Linux 6.2 on the kernel tells the number;
// before, they are listed, some of them at a time, as 60,000 take it tens of milliseconds. One
// thread.
class OpenDescriptors {
 public:
  static constexpr int kStep = 1000;

  // A count that is under way goes on. `folder` is that of some process.
  void begin(const char* folder = "/proc/self/fd");
  // Goes on; true: all are counted.
  bool step();
  // As of the last time that all were counted.
  std::uint64_t count() const { return count_; }

 private:
  struct Close {
    void operator()(DIR* folder) const noexcept { ::closedir(folder); }
  };

  std::unique_ptr<DIR, Close> listing_;
  std::uint64_t listed_ = 0;
  std::uint64_t count_ = 0;
};

}  // namespace sc
