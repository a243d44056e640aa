#include "store/folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <limits>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/text.h"

namespace sc::store {
namespace {

constexpr mode_t kFolderMode = 0750;
constexpr mode_t kFileMode = 0640;  // readers are members of the group

base::Error failed(const std::string& what, int number) {
  return {base::Errc::unavailable, base::describe_errno(what, number)};
}

off_t size_of(const std::string& file) {  // 0 if it does not exist
  struct stat found {};
  return ::stat(file.c_str(), &found) == 0 ? found.st_size : 0;
}

base::Result<void> make_folder(const std::filesystem::path& folder) {
  struct stat found {};
  if (::stat(folder.c_str(), &found) == 0) return {};
  if (errno == ENOENT && folder.has_parent_path() && folder != folder.parent_path())
    if (auto above = make_folder(folder.parent_path()); !above) return above;
  if (::mkdir(folder.c_str(), kFolderMode) != 0 && errno != EEXIST)
    return failed("the state folder " + folder.string() + " cannot be made", errno);
  // Whatever the umask; a setgid bit that it has from the folder above stays.
  if (::stat(folder.c_str(), &found) == 0)
    ::chmod(folder.c_str(), (found.st_mode & S_ISGID) | kFolderMode);
  return {};
}

std::string lock_file_of(const std::string& folder) { return folder + "/stream-conductor.lock"; }

base::Result<void> lock(const base::Fd& opened, const std::string& path,
                        const std::string& folder) {
  if (::flock(opened.get(), LOCK_EX | LOCK_NB) == 0) return {};
  if (errno == EWOULDBLOCK)
    return base::Error{base::Errc::conflict, "another stream-conductor uses " + folder};
  return failed("the lock " + path + " cannot be taken", errno);
}

base::Result<void> lock_folder(FolderClaim& claim, const std::string& folder) {
  base::Fd opened(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!opened) return failed("the state folder " + folder + " cannot be opened", errno);
  if (auto locked = lock(opened, folder, folder); !locked) return locked.error();
  claim.folder = std::move(opened);
  return {};
}

bool is_same_file(const std::string& path, const base::Fd& opened) {
  struct stat named {};
  struct stat held {};
  return ::stat(path.c_str(), &named) == 0 && ::fstat(opened.get(), &held) == 0 &&
         named.st_dev == held.st_dev && named.st_ino == held.st_ino;
}

}  // namespace

std::string folder_of(const std::string& file) {
  const auto folder = std::filesystem::path(file).parent_path();
  return folder.empty() ? "." : folder.string();
}

base::Result<void> complete_claim(FolderClaim& claim, const std::string& folder) {
  if (auto made = make_folder(folder); !made) return made.error();
  if (!claim.folder) {
    if (auto locked = lock_folder(claim, folder); !locked) return locked.error();
  }
  if (claim.file) return {};
  const std::string path = lock_file_of(folder);
  base::Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, kFileMode));
  if (!file) return failed("the lock " + path + " cannot be opened", errno);
  if (auto locked = lock(file, path, folder); !locked) return locked.error();
  claim.file = std::move(file);
  return {};
}

base::Result<FolderClaim> claim_folder(const std::string& folder) {
  FolderClaim claim;
  if (auto claimed = complete_claim(claim, folder); !claimed) return claimed.error();
  return claim;
}

base::Result<FolderClaim> claim_for_reading(const std::string& folder) {
  FolderClaim claim;
  if (::access(folder.c_str(), F_OK) != 0 && errno == ENOENT) return claim;
  if (auto locked = lock_folder(claim, folder); !locked) return locked.error();
  const std::string file = lock_file_of(folder);
  claim.file.reset(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!claim.file) return claim;
  if (auto locked = lock(claim.file, file, folder); !locked) return locked.error();
  return claim;
}

base::Result<void> require_database(const std::string& file) {
  struct stat found {};
  const std::filesystem::path path(file);
  if (::stat(file.c_str(), &found) == 0) {
    if (found.st_size > 0 || size_of(file + "-wal") > 0) return {};
  } else if (errno != ENOENT && errno != ENOTDIR) {
    return failed("the database " + file + " cannot be reached", errno);
  }
  return base::Error{
      base::Errc::not_found,
      "the folder " + path.parent_path().string() + " has no database, " +
          path.filename().string() +
          ": check STATE_DIRECTORY; the service creates the database when it starts"};
}

base::Result<FolderClaim> claim_present_folder(const std::string& folder) {
  if (::access(folder.c_str(), F_OK) != 0 && errno == ENOENT)
    return base::Error{base::Errc::not_found, "there is no folder " + folder};
  return claim_folder(folder);
}

bool is_folder_in_place(const FolderClaim& claim, const std::string& folder) {
  return is_same_file(folder, claim.folder);
}

bool is_in_place(const FolderClaim& claim, const std::string& folder) {
  return is_folder_in_place(claim, folder) && is_same_file(lock_file_of(folder), claim.file);
}

base::Result<void> write_claim_record(const std::string& folder, const ClaimRecord& record) {
  const std::string path = lock_file_of(folder);
  const base::Fd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NONBLOCK));
  const std::string text = "pid=" + std::to_string(record.pid) +
                           " database=" + to_string(record.database) +
                           " log=" + to_string(record.log) + "\n";
  const auto length = static_cast<ssize_t>(text.size());
  if (!file || ::pwrite(file.get(), text.data(), text.size(), 0) != length ||
      ::ftruncate(file.get(), length) != 0 || ::fdatasync(file.get()) != 0)
    return failed("the lock " + path + " cannot be written", errno);
  return {};
}

std::optional<ClaimRecord> read_claim_record(const std::string& folder) {
  const base::Fd file(::open(lock_file_of(folder).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  std::array<char, 512> bytes{};
  const ssize_t got = file ? ::pread(file.get(), bytes.data(), bytes.size(), 0) : -1;
  if (got <= 0) return std::nullopt;
  const std::string_view text(bytes.data(), static_cast<std::size_t>(got));
  const auto value = [&](std::string_view key) {
    const std::size_t at = text.find(key);
    if (at == std::string_view::npos) return std::string_view();
    const std::size_t from = at + key.size();
    return text.substr(from, text.find_first_of(" \n", from) - from);
  };
  const auto pid = base::parse_unsigned(value("pid="), 1, std::numeric_limits<pid_t>::max());
  const auto database = parse_file_identity(value(" database="));
  const auto log = parse_file_identity(value(" log="));
  if (!pid || !database || !log) return std::nullopt;
  return ClaimRecord{.pid = static_cast<pid_t>(*pid), .database = *database, .log = *log};
}

pid_t find_claimant(const std::string& folder) {
  const auto record = read_claim_record(folder);
  const auto lock = identify(lock_file_of(folder));
  if (!record || !lock) return 0;
  std::error_code failure;
  const std::string open_files = "/proc/" + std::to_string(record->pid) + "/fd";
  for (const auto& each : std::filesystem::directory_iterator(open_files, failure))
    if (identify(each.path().string()) == lock) return record->pid;
  return 0;
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

base::Result<void> check_writable(const std::string& file) {
  for (const char* suffix : {"", "-wal", "-shm", "-journal"}) {
    const std::string path = file + suffix;
    struct stat found {};
    if (::stat(path.c_str(), &found) != 0) {
      if (errno == ENOENT) continue;
      return failed(path + " cannot be reached", errno);
    }
    if (!S_ISREG(found.st_mode))  // to open a pipe would wait for its other end
      return base::Error{base::Errc::invalid, path + " is not a regular file"};
    const base::Fd opened(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    if (!opened) return failed(path + " is not writable", errno);
  }
  return {};
}

base::Result<void> sync_folder(const std::string& folder) {
  const base::Fd opened(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!opened || ::fsync(opened.get()) != 0)
    return failed("the folder " + folder + " cannot be written to disk", errno);
  return {};
}

}  // namespace sc::store
