#pragma once

#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace sc::systemd {

// FileDescriptorName= of the API's sockets in stream-conductor.socket.
inline constexpr const char* kApiSocketName = "api";

// A listening socket that the service manager opened for us, or what a former process of the
// service gave to its store.
struct PassedFd {
  std::string name;        // `unknown` when whoever started us gave none (sd_listen_fds(3))
  base::Fd fd;             // close-on-exec; a socket's non-blocking
  bool is_stored = false;  // see FdStore, whose name it has then
};

// The descriptors of LISTEN_FDS, none when there are none. Removes the variables, so that it
// answers once and child processes do not take the sockets for theirs; call it before threads are
// started. invalid: the variables are wrong, or a descriptor that is not from the store is no
// listening TCP or unix stream socket; then all of them are closed.
base::Result<std::vector<PassedFd>> take_passed_fds();

}  // namespace sc::systemd
