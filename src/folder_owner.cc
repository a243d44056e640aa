#include "folder_owner.h"

#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <exception>

namespace sc {
namespace {

// Returns whether root runs this and the folder belongs to another user.
bool has_other_owner(const std::string& folder, struct stat& found) {
  return ::geteuid() == 0 && ::stat(folder.c_str(), &found) == 0 && found.st_uid != 0;
}

}  // namespace

base::Result<void> become_owner_of(const std::string& folder) {
  struct stat found {};
  if (!has_other_owner(folder, found)) return {};
  if (::setgroups(0, nullptr) == 0 && ::setgid(found.st_gid) == 0 && ::setuid(found.st_uid) == 0)
    return {};
  return base::Error{base::Errc::forbidden,
                     base::describe_errno("cannot act as the owner of " + folder, errno)};
}

ActingAsOwner::ActingAsOwner(const std::string& folder) : former_group_(::getegid()) {
  struct stat found {};
  if (!has_other_owner(folder, found)) return;
  former_groups_.resize(static_cast<std::size_t>(::getgroups(0, nullptr)));
  if (::getgroups(static_cast<int>(former_groups_.size()), former_groups_.data()) < 0) return;
  is_acting_ =
      ::setgroups(0, nullptr) == 0 && ::setegid(found.st_gid) == 0 && ::seteuid(found.st_uid) == 0;
}

// Ends the process if root cannot be restored: it must not go on half-way between two users.
ActingAsOwner::~ActingAsOwner() {
  if (!is_acting_) return;
  if (::seteuid(0) != 0 || ::setegid(former_group_) != 0 ||
      ::setgroups(former_groups_.size(), former_groups_.data()) != 0)
    std::terminate();
}

}  // namespace sc
