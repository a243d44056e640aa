#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "systemd/notify_queue.h"

namespace sc::systemd {

// In the manager's store our names begin with this, so that they are told from sockets' names.
constexpr std::string_view kStoredPrefix = "kept-";

// The service manager's file descriptor store: it holds copies over restarts of the service, also
// after kill -9, and passes them to the next process among LISTEN_FDS (systemd.service(5):
// FileDescriptorStoreMax=; sd_pid_notify_with_fds(3)). Any thread.
class FdStore {
 public:
  // Whether there is a manager to ask: NOTIFY_SOCKET is set.
  static bool is_there() { return NotifyQueue::is_set(); }

  explicit FdStore(std::shared_ptr<NotifyQueue> queue) : queue_(std::move(queue)) {}

  // Asks the manager to hold a copy, now or not at all; never waits. False: the message did not go
  // out. The manager does not report that it refused a descriptor because its store is full.
  //
  // FDPOLL=0: by default the manager drops what shows a hang-up, as a half-closed connection does.
  bool put(const std::string& name, int fd) const;
  // Asks it in its turn: while the manager does not read, a copy of the descriptor waits here.
  // False: there is no manager, or the host gives no copy.
  bool put_later(const std::string& name, int fd) const;
  // All of that name. While the manager does not read, the message waits.
  void remove(const std::string& name) const;
  // The manager takes no messages now, so put() would fail. No system call.
  bool is_busy() const { return queue_->is_busy(); }

 private:
  std::shared_ptr<NotifyQueue> queue_;
};

}  // namespace sc::systemd
