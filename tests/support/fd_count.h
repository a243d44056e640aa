#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <system_error>

namespace sc::test {

// The open descriptors of this process and what each leads to, as in `socket:[4711]`; without the
// one that reads the list.
inline std::map<int, std::string> open_fds() {
  namespace fs = std::filesystem;
  std::map<int, std::string> open;
  for (const auto& entry : fs::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    const fs::path target = fs::read_symlink(entry.path(), gone);
    if (!gone) open.emplace(std::stoi(entry.path().filename()), target.string());
  }
  // The reader's own was open during the loop and is closed now.
  std::erase_if(open, [](const auto& fd) {
    return !fs::is_symlink(fs::symlink_status("/proc/self/fd/" + std::to_string(fd.first)));
  });
  return open;
}

inline std::size_t fd_count() { return open_fds().size(); }

}  // namespace sc::test
