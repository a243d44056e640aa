#include "systemd/fd_store.h"

#include <fcntl.h>

namespace sc::systemd {
namespace {

std::string name_line(const std::string& name) {
  return "FDNAME=" + std::string(kStoredPrefix) + name;
}

std::string store_lines(const std::string& name) {
  return "FDSTORE=1\nFDPOLL=0\n" + name_line(name);
}

}  // namespace

bool FdStore::put(const std::string& name, int fd) const {
  return queue_->try_store(store_lines(name), fd);
}

bool FdStore::put_later(const std::string& name, int fd) const {
  base::Fd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  return copy && queue_->store(store_lines(name), std::move(copy));
}

void FdStore::remove(const std::string& name) const {
  queue_->remove("FDSTOREREMOVE=1\n" + name_line(name));
}

}  // namespace sc::systemd
