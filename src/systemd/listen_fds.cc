#include "systemd/listen_fds.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>

#include <cerrno>
#include <cstdlib>
#include <memory>
#include <string_view>

#include "base/text.h"
#include "systemd/fd_store.h"

namespace sc::systemd {
namespace {

// What sd_listen_fds_with_names returns: an array ended by a null pointer, all of it from malloc.
struct FreeNames {
  void operator()(char** names) const noexcept {
    for (char** name = names; *name != nullptr; ++name) std::free(*name);
    std::free(static_cast<void*>(names));
  }
};
using Names = std::unique_ptr<char*, FreeNames>;

bool is_listening_stream(int fd) {
  return ::sd_is_socket(fd, AF_INET, SOCK_STREAM, 1) > 0 ||
         ::sd_is_socket(fd, AF_INET6, SOCK_STREAM, 1) > 0 ||
         ::sd_is_socket_unix(fd, SOCK_STREAM, 1, nullptr, 0) > 0;
}

base::Result<void> prepare(const PassedFd& passed) {
  const std::string what =
      "passed descriptor " + std::to_string(passed.fd.get()) + " " + base::quoted(passed.name);
  if (!is_listening_stream(passed.fd.get()))
    return base::Error{base::Errc::invalid, what + " is not a listening TCP or unix stream socket"};
  // The manager passes sockets blocking; close-on-exec was set by sd_listen_fds.
  const int flags = ::fcntl(passed.fd.get(), F_GETFL);
  if (flags < 0 || ::fcntl(passed.fd.get(), F_SETFL, flags | O_NONBLOCK) < 0)
    return base::Error{base::Errc::internal, base::describe_errno(what, errno)};
  return {};
}

}  // namespace

base::Result<std::vector<PassedFd>> take_passed_fds() {
  char** raw_names = nullptr;
  const int count = ::sd_listen_fds_with_names(1, &raw_names);
  const Names names(raw_names);
  if (count < 0) {
    return base::Error{base::Errc::invalid,
                       base::describe_errno("the sockets of LISTEN_FDS cannot be taken", -count)};
  }

  // All are owned before the first is looked at, so that none is left open when one is wrong.
  std::vector<PassedFd> passed;
  passed.reserve(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) {
    const std::string_view name = names.get()[i];
    const bool is_stored = name.starts_with(kStoredPrefix);
    passed.push_back({std::string(is_stored ? name.substr(kStoredPrefix.size()) : name),
                      base::Fd(SD_LISTEN_FDS_START + i), is_stored});
  }
  for (const PassedFd& one : passed)
    if (auto ready = one.is_stored ? base::Result<void>() : prepare(one); !ready)
      return ready.error();
  return passed;
}

}  // namespace sc::systemd
