#pragma once

#include <sys/stat.h>

#include <string>

namespace sc::net {

// The content of a small file that other programs change. One stat(2) finds out whether there is
// something to read: it follows symbolic links and sees mounts, which inotify(7) on a folder
// misses. One thread.
class WatchedFile {
 public:
  explicit WatchedFile(std::string path) : path_(std::move(path)) {}

  // Reads the file if it may have changed. True if the content is another one than before. A file
  // that is missing or cannot be read counts as empty.
  bool refresh();
  const std::string& content() const { return content_; }

 private:
  static constexpr std::size_t kMost = std::size_t{16} << 20U;  // bytes; the rest is ignored

  std::string read() const;

  const std::string path_;
  struct stat seen_ {};
  bool is_settled_ = false;  // a change after reading would show in seen_
  std::string content_;
};

}  // namespace sc::net
