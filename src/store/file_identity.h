#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sc::store {

// The file that a path names at one moment: device, inode and time of birth. Inode numbers are used
// again after a removal. The time of birth distinguishes such files if the file system records it
// (ext4, XFS, Btrfs; tmpfs since Linux 6.6).
struct FileIdentity {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::int64_t born_ns = 0;  // 0: not recorded
  bool operator==(const FileIdentity&) const = default;
};

// Follows symbolic links, as SQLite does. nullopt: there is no file, or it cannot be reached.
std::optional<FileIdentity> identify(const std::string& path);

// `device:inode:born_ns`, and back.
std::string to_string(const FileIdentity& identity);
std::optional<FileIdentity> parse_file_identity(std::string_view text);

}  // namespace sc::store
