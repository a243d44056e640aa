#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "base/callback.h"
#include "base/fd.h"
#include "loop/loop.h"
#include "loop/poll.h"
#include "loop/timer.h"
#include "net/socket.h"

namespace sc::net {

// Takes clients from a listening socket that it owns. When the process or the host is out of
// descriptors, memory or room in the epoll set it rests for kAcceptBackOff before it tries again,
// so that a full table is no busy loop; clients wait in the backlog meanwhile. Loop's thread only.
class Acceptor {
 public:
  // Called once for each client, up to kAcceptsPerTurn in a turn, and only for those that waited
  // before the turn began: they cannot have come after anything that is not heard before its events
  // are delivered (Loop::set_first). Must not destroy the Acceptor.
  using OnAccept = base::Callback<void(Accepted)>;

  static constexpr std::chrono::milliseconds kAcceptBackOff{100};
  static constexpr std::chrono::milliseconds kWarnEvery{1000};
  static constexpr int kAcceptsPerTurn = 16;  // leaves turns to the sessions that run

  // Who may refuse clients. Neither call may destroy the Acceptor.
  struct Gate {
    base::Callback<bool()> may_accept;    // before each one; false: it has paused the Acceptor
    base::Callback<void()> nobody_taken;  // it said true, and no client could be had
  };

  // Starts paused.
  Acceptor(loop::Loop& loop, base::Fd listener, OnAccept on_accept, Gate gate = {});

  void resume();
  // Clients wait in the backlog until resume(); what waits when the Acceptor dies is reset by the
  // kernel.
  void pause();

  int fd() const { return listener_.get(); }

 private:
  void on_ready();
  bool take(int most);
  void update();
  void rest(const std::string& why);

  loop::Loop& loop_;
  base::Fd listener_;
  OnAccept on_accept_;
  Gate gate_;
  bool running_ = false;
  // So many waited when they were counted last, and were not taken since; 0: not known. To count
  // costs as much as to take one, so it is done every other time as long as they come one by one.
  int known_ = 0;
  bool counts_ = false;
  std::optional<std::chrono::milliseconds> warned_;  // loop time of the last warning
  std::optional<loop::Timer> back_off_;              // since it had to rest for the first time
  loop::Poll poll_;
};

}  // namespace sc::net
