#include "config/text_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/fd.h"

namespace sc::config {
namespace {

base::Error fault(const std::string& path, int number) {
  const bool missing = number == ENOENT || number == ENOTDIR;
  return {missing ? base::Errc::not_found : base::Errc::unavailable,
          base::describe_errno("cannot read " + path, number)};
}

}  // namespace

base::Result<std::string> read_text_file(const std::string& path) {
  // O_NONBLOCK: opening a FIFO that nobody writes to would wait for ever.
  const base::Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!fd) return fault(path, errno);
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return fault(path, errno);
  if (S_ISDIR(info.st_mode)) return fault(path, EISDIR);
  std::string text;
  std::array<char, 16384> chunk{};
  while (true) {
    const ssize_t got = ::read(fd.get(), chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fault(path, errno);
    if (got == 0) return text;
    text.append(chunk.data(), static_cast<std::size_t>(got));
    if (text.size() > kMaxTextFile) return fault(path, EFBIG);
  }
}

}  // namespace sc::config
