#include "store/end_mark.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <filesystem>
#include <string_view>

#include "base/fd.h"

namespace sc::store {
namespace {

constexpr std::string_view kBegin = "closed";
constexpr std::size_t kMostBytes = 512;  // more than any mark has
constexpr mode_t kFileMode = 0640;

// `INODE SIZE SECONDS.NANOSECONDS`, or `none` for a file that is missing or empty, as SQLite leaves
// a -wal whose frames are all in the database.
std::string identity_of(const std::string& file) {
  struct stat found {};
  if (::stat(file.c_str(), &found) != 0 || found.st_size == 0) return "none";
  return std::to_string(found.st_ino) + " " + std::to_string(found.st_size) + " " +
         std::to_string(found.st_mtim.tv_sec) + "." + std::to_string(found.st_mtim.tv_nsec);
}

std::string mark_of(const std::string& file) {
  return std::string(kBegin) + name_content(file) + "\n";
}

std::string path_of_mark(const std::string& file) {
  const auto folder = std::filesystem::path(file).parent_path();
  return (folder.empty() ? std::string(".") : folder.string()) + "/stream-conductor.closed";
}

}  // namespace

std::string name_files(const std::string& file) {
  std::string out;
  for (const char* suffix : {"", "-wal"}) {
    struct stat found {};
    const bool is_there = ::stat((file + suffix).c_str(), &found) == 0;
    out += (is_there ? std::to_string(found.st_dev) + ":" + std::to_string(found.st_ino) : "none") +
           " ";
  }
  return out;
}

std::string name_content(const std::string& file) {
  std::string out;
  for (const char* suffix : {"", "-wal", "-journal"})
    out.append("\n").append(identity_of(file + suffix));
  return out;
}

bool take_end_mark(const std::string& file) {
  const std::string path = path_of_mark(file);
  base::Fd opened(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  const bool is_writable = bool{opened};
  if (!is_writable)
    opened.reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!opened) return false;
  std::array<char, kMostBytes> bytes{};
  const ssize_t size = ::pread(opened.get(), bytes.data(), bytes.size(), 0);
  if (size <= 0) return false;
  const bool fits = std::string_view(bytes.data(), static_cast<std::size_t>(size)) == mark_of(file);
  // fdatasync(2) writes a change of the size, too.
  if (is_writable && ::ftruncate(opened.get(), 0) == 0) ::fdatasync(opened.get());
  return fits;
}

void leave_end_mark(const std::string& file) {
  const base::Fd opened(::open(path_of_mark(file).c_str(),
                               O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
                               kFileMode));
  if (!opened) return;
  const std::string mark = mark_of(file);
  const ssize_t size = ::pwrite(opened.get(), mark.data(), mark.size(), 0);
  // A part of a mark fits no files, so whether this works does not matter.
  if (size != static_cast<ssize_t>(mark.size()) && ::ftruncate(opened.get(), 0) != 0) return;
}

}  // namespace sc::store
