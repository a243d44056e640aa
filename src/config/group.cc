#include "config/group.h"

#include <grp.h>

#include <cerrno>
#include <cstdint>
#include <vector>

#include "base/text.h"

namespace sc::config {

std::optional<gid_t> find_group(const std::string& name_or_number) {
  constexpr gid_t kNone = static_cast<gid_t>(-1);  // chown(2): "no group"
  if (const auto number = base::parse_unsigned(name_or_number, 0, kNone - 1))
    return static_cast<gid_t>(*number);
  constexpr std::size_t kMost = std::size_t{1} << 20;  // bytes of a group with many members
  for (std::vector<char> buffer(4096); buffer.size() <= kMost; buffer.resize(2 * buffer.size())) {
    group entry{};
    group* found = nullptr;
    const int error =
        ::getgrnam_r(name_or_number.c_str(), &entry, buffer.data(), buffer.size(), &found);
    if (error == ERANGE) continue;
    return found != nullptr ? std::optional(found->gr_gid) : std::nullopt;
  }
  return std::nullopt;
}

}  // namespace sc::config
