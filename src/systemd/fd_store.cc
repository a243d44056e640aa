#include "systemd/fd_store.h"

#include <systemd/sd-daemon.h>

#include <cstdlib>

namespace sc::systemd {
namespace {

std::string name_line(const std::string& name) {
  return "FDNAME=" + std::string(kStoredPrefix) + name;
}

}  // namespace

bool FdStore::is_there() { return std::getenv("NOTIFY_SOCKET") != nullptr; }

bool FdStore::put(const std::string& name, int fd) {
  const std::string state = "FDSTORE=1\nFDPOLL=0\n" + name_line(name);
  return ::sd_pid_notify_with_fds(0, 0, state.c_str(), &fd, 1) > 0;
}

void FdStore::remove(const std::string& name) {
  const std::string state = "FDSTOREREMOVE=1\n" + name_line(name);
  ::sd_notify(0, state.c_str());
}

}  // namespace sc::systemd
