#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "base/fd.h"

namespace sc::test {

// The service manager's side of sd_notify(3): a datagram socket, with an abstract name unless one
// is given, so that nothing is left in the file system.
class NotifySocket {
 public:
  NotifySocket();
  explicit NotifySocket(std::string path);

  // What NOTIFY_SOCKET says: `@name`, or the path.
  const std::string& name() const { return name_; }
  int fd() const { return fd_.get(); }

  // The next message; nothing when none comes in time.
  std::optional<std::string> receive(std::chrono::milliseconds within);
  // The message that must be there by now.
  std::string received();
  // Likewise, with the descriptor that came with it, if one did.
  struct Message {
    std::string text;
    base::Fd fd;
  };
  Message received_with_fd();

 private:
  std::string name_;
  base::Fd fd_;
};

}  // namespace sc::test
