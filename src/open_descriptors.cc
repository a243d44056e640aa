#include "open_descriptors.h"

#include <sys/stat.h>

namespace sc {

void OpenDescriptors::begin(const char* folder) {
  if (listing_ != nullptr) return;
  listed_ = 0;
  struct stat facts {};
  if (::stat(folder, &facts) == 0 && facts.st_size > 0) {
    count_ = static_cast<std::uint64_t>(facts.st_size);
    return;
  }
  listing_.reset(::opendir(folder));
}

bool OpenDescriptors::step() {
  for (int i = 0; listing_ != nullptr && i < kStep; ++i) {
    const dirent* entry = ::readdir(listing_.get());
    if (entry == nullptr) {
      listing_.reset();
      // Less its own, which it has open while it lists.
      count_ = listed_ > 0 ? listed_ - 1 : 0;
    } else if (entry->d_name[0] != '.') {
      ++listed_;
    }
  }
  return listing_ == nullptr;
}

}  // namespace sc
