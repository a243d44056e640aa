#include "net/resolver/watched_file.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <utility>

#include "base/fd.h"

namespace sc::net {
namespace {

// File times advance with the kernel's tick of 1 to 10 ms, on some file systems with 1 s. A file
// that has just changed may change again and keep its time.
constexpr std::int64_t kCoarse = 2;  // seconds

bool is_same_time(const timespec& one, const timespec& other) {
  return one.tv_sec == other.tv_sec && one.tv_nsec == other.tv_nsec;
}

bool is_same(const struct stat& one, const struct stat& other) {
  return one.st_dev == other.st_dev && one.st_ino == other.st_ino && one.st_size == other.st_size &&
         is_same_time(one.st_mtim, other.st_mtim) && is_same_time(one.st_ctim, other.st_ctim);
}

}  // namespace

bool WatchedFile::refresh() {
  struct stat now {};
  if (::stat(path_.c_str(), &now) != 0) now = {};
  if (is_settled_ && is_same(now, seen_)) return false;
  timespec wall{};
  ::clock_gettime(CLOCK_REALTIME, &wall);
  seen_ = now;
  is_settled_ = wall.tv_sec - now.st_ctim.tv_sec > kCoarse;
  std::string content = read();
  if (content == content_) return false;
  content_ = std::move(content);
  return true;
}

std::string WatchedFile::read() const {
  const base::Fd file(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  std::string content;
  std::array<char, 4096> buffer{};
  while (file && content.size() < kMost) {
    const ssize_t count = ::read(file.get(), buffer.data(), buffer.size());
    if (count <= 0) break;
    content.append(buffer.data(), static_cast<std::size_t>(count));
  }
  return content;
}

}  // namespace sc::net
