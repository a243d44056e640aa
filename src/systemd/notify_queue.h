#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/fd.h"

namespace sc::systemd {

// Messages to the service manager over the socket that NOTIFY_SOCKET names (sd_notify(3)). Any
// thread.
//
// No call waits for the manager. While the manager does not read, its socket takes no message
// (unix(7): net.unix.max_dgram_qlen), and what has to arrive waits here:
// - the latest state of each kind, ahead of all else, so that the watchdog is fed first;
// - changes of the descriptor store, in their order. If a removal overtook a store or were lost,
// the
//   manager would keep a descriptor that a later start would take for a live one.
// flush() sends what waits; systemd/notify_flusher calls it.
//
// It speaks the protocol itself. libsystemd opens, widens and closes a socket for each message:
// seven system calls instead of one. Its call waits without a limit.
class NotifyQueue {
 public:
  // What the service says about itself. A later message replaces a waiting one of its kind.
  enum class State : unsigned char { alive, ready, reloading, stopping, status };
  static constexpr std::size_t kStates = 5;

  // Time between two tries while the manager does not read; it doubles from the first to the last.
  static constexpr std::chrono::milliseconds kFirstBackOff{5};
  static constexpr std::chrono::milliseconds kLastBackOff{500};

  // Whether there is a manager: NOTIFY_SOCKET is set.
  static bool is_set();

  // For the manager that NOTIFY_SOCKET names: a path, or `@` and an abstract name.
  explicit NotifyQueue(const base::Clock& clock);
  NotifyQueue(const NotifyQueue&) = delete;
  NotifyQueue& operator=(const NotifyQueue&) = delete;

  void say(State kind, std::string text);

  // Sends it now or not at all. False while other changes wait, or if the manager takes none.
  bool try_store(const std::string& text, int fd);
  // Sends it in its turn, at the latest when the manager reads again. False: there is no manager.
  bool store(std::string text, base::Fd fd);
  void remove(std::string text);

  // The manager took no message lately, and the time for another try has not come. No system call.
  bool is_busy() const;
  // Since when the manager has taken no message; nullopt: it took the last one.
  std::optional<base::Instant> busy_since() const;
  // Messages that wait.
  std::size_t waiting() const;

  // Sends what waits, as far as the manager takes it. Returns after how long to call again;
  // nullopt: nothing waits.
  std::optional<std::chrono::milliseconds> flush();

  // Waits until nothing waits here, for so long at most, and logs what still does. For the end of
  // the process.
  void finish(std::chrono::milliseconds patience);

  // Called when a message begins to wait, on the thread that left it, under a lock: it must not
  // call back. An empty one ends it.
  void set_on_waiting(std::function<void()> on_waiting);

 private:
  struct Change {
    std::string text;
    base::Fd fd;  // none: a removal
  };

  enum class Sent : unsigned char { yes, full, failed };

  bool send_all();
  Sent send(const std::string& text, int fd);
  Sent note_failure(int error);
  void on_waiting();

  const base::Clock& clock_;
  base::Fd socket_;  // none: there is no manager
  sockaddr_un manager_{};
  socklen_t size_ = 0;                     // of manager_
  std::atomic<std::int64_t> retry_at_{0};  // ns of the steady clock; 0: not busy

  mutable std::mutex mutex_;  // guards the rest; nothing waits under it
  std::deque<std::pair<State, std::string>> states_;
  std::deque<Change> changes_;
  std::chrono::milliseconds back_off_ = kFirstBackOff;
  std::optional<base::Instant> busy_since_;
  bool is_failing_ = false;  // a failure is logged once
  std::function<void()> on_waiting_;
};

}  // namespace sc::systemd
