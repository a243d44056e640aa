#include "store/file_identity.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <limits>

#include "base/text.h"

namespace sc::store {
namespace {

constexpr std::int64_t kNanoseconds = 1'000'000'000;

}  // namespace

std::optional<FileIdentity> identify(const std::string& path) {
  struct statx found {};
  if (::statx(AT_FDCWD, path.c_str(), 0, STATX_INO | STATX_BTIME, &found) != 0) return std::nullopt;
  FileIdentity identity;
  identity.device = ::makedev(found.stx_dev_major, found.stx_dev_minor);
  identity.inode = found.stx_ino;
  if ((found.stx_mask & STATX_BTIME) != 0)
    identity.born_ns = found.stx_btime.tv_sec * kNanoseconds + found.stx_btime.tv_nsec;
  return identity;
}

std::string to_string(const FileIdentity& identity) {
  return std::to_string(identity.device) + ":" + std::to_string(identity.inode) + ":" +
         std::to_string(identity.born_ns);
}

std::optional<FileIdentity> parse_file_identity(std::string_view text) {
  const std::size_t first = text.find(':');
  if (first == std::string_view::npos) return std::nullopt;
  const std::size_t second = text.find(':', first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  constexpr auto kMost = std::numeric_limits<std::uint64_t>::max();
  const auto device = base::parse_unsigned(text.substr(0, first), 0, kMost);
  const auto inode = base::parse_unsigned(text.substr(first + 1, second - first - 1), 0, kMost);
  const auto born =
      base::parse_unsigned(text.substr(second + 1), 0, std::numeric_limits<std::int64_t>::max());
  if (!device || !inode || !born) return std::nullopt;
  return FileIdentity{
      .device = *device, .inode = *inode, .born_ns = static_cast<std::int64_t>(*born)};
}

}  // namespace sc::store
