#include "systemd/fd_store.h"

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>

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
  return send("FDSTORE=1\nFDPOLL=0\n" + name_line(name), fd);
}

void FdStore::remove(const std::string& name) const {
  send("FDSTOREREMOVE=1\n" + name_line(name), -1);
}

// With the descriptor, or without one (-1).
bool FdStore::send(const std::string& text, int fd) const {
  iovec data{const_cast<char*>(text.data()), text.size()};
  sockaddr_un manager = manager_;
  msghdr message{};
  message.msg_name = &manager;
  message.msg_namelen = size_;
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  alignas(cmsghdr) std::byte control[CMSG_SPACE(sizeof fd)]{};
  if (fd >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof fd);
    std::memcpy(CMSG_DATA(rights), &fd, sizeof fd);
  }
  while (::sendmsg(socket_.get(), &message, MSG_NOSIGNAL) < 0)
    if (errno != EINTR) return false;
  return true;
}

}  // namespace sc::systemd
