#include "systemd/fd_store.h"

#include <cstddef>
#include <cstdlib>

#include "base/send_fds.h"

namespace sc::systemd {
namespace {

std::string name_line(const std::string& name) {
  return "FDNAME=" + std::string(kStoredPrefix) + name;
}

}  // namespace

bool FdStore::is_there() { return std::getenv("NOTIFY_SOCKET") != nullptr; }

FdStore::FdStore() {
  const char* named = std::getenv("NOTIFY_SOCKET");
  const std::string_view name = named != nullptr ? named : "";
  const bool is_abstract = name.starts_with('@');
  if (!(is_abstract || name.starts_with('/')) || name.size() >= sizeof manager_.sun_path) return;
  manager_.sun_family = AF_UNIX;
  name.copy(manager_.sun_path, name.size());
  size_ = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
  if (is_abstract) {
    manager_.sun_path[0] = '\0';  // unix(7): what follows is the name, to its last byte
  } else {
    ++size_;  // the NUL behind a path
  }
  socket_ = base::Fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
}

bool FdStore::put(const std::string& name, int fd) const {
  return send("FDSTORE=1\nFDPOLL=0\n" + name_line(name), {&fd, 1});
}

void FdStore::remove(const std::string& name) const {
  send("FDSTOREREMOVE=1\n" + name_line(name), {});
}

bool FdStore::send(const std::string& text, std::span<const int> fds) const {
  return base::send_with_fds(socket_.get(), text, fds, 0,
                             reinterpret_cast<const sockaddr*>(&manager_), size_) == 0;
}

}  // namespace sc::systemd
