#include "store/folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

namespace sc::store {
namespace {

constexpr mode_t kFolderMode = 0750;
constexpr mode_t kFileMode = 0640;  // readers are members of the group

base::Error failed(const std::string& what, int number) {
  return {base::Errc::unavailable, base::describe_errno(what, number)};
}

}  // namespace

base::Result<base::Fd> claim_folder(const std::string& folder) {
  std::error_code ignored;  // mkdir below says what is wrong
  std::filesystem::create_directories(std::filesystem::path(folder).parent_path(), ignored);
  if (::mkdir(folder.c_str(), kFolderMode) == 0) {
    ::chmod(folder.c_str(), kFolderMode);  // whatever the umask
  } else if (errno != EEXIST) {
    return failed("the state folder " + folder + " cannot be made", errno);
  }
  const std::string file = folder + "/stream-conductor.lock";
  base::Fd lock(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, kFileMode));
  if (!lock) return failed("the lock " + file + " cannot be opened", errno);
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK)
      return base::Error{base::Errc::conflict, "another stream-conductor uses " + folder};
    return failed("the lock " + file + " cannot be taken", errno);
  }
  return lock;
}

// Closes the file before SQLite opens it: POSIX takes a process' locks on a file away with any of
// its descriptors.
base::Result<void> ensure_file(const std::string& file) {
  const base::Fd made(::open(file.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, kFileMode));
  if (made) {
    ::fchmod(made.get(), kFileMode);
    return {};
  }
  if (errno == EEXIST) return {};
  return failed("the database " + file + " cannot be made", errno);
}

}  // namespace sc::store
