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
  // Called once for each client, up to kAcceptsPerTurn in a turn. Must not destroy the Acceptor.
  using OnAccept = base::Callback<void(Accepted)>;

  static constexpr std::chrono::milliseconds kAcceptBackOff{100};
  static constexpr std::chrono::milliseconds kWarnEvery{1000};
  static constexpr int kAcceptsPerTurn = 16;  // leaves turns to the sessions that run

  // Who may refuse clients. Neither call may destroy the Acceptor.
  struct Gate {
    // Before each one; `is_there`: a client waits, else perhaps. False: not in this turn any more;
    // if one waits it has paused the Acceptor.
    base::Callback<bool(bool is_there)> may_accept;
    base::Callback<void()> nobody_came;  // it said true, and no client was there to be taken
    // Has the loop's thread heard of all that was sent to it? If not, only the client is taken that
    // waited when this turn began, as others may have come after what they are to find. Whoever
    // sets it hears of what was sent before a turn's events are delivered.
    base::Callback<bool()> is_up_to_date;
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
  bool take(int most, bool are_there);
  void update();
  void rest(const std::string& why);

  loop::Loop& loop_;
  base::Fd listener_;
  OnAccept on_accept_;
  Gate gate_;
  bool running_ = false;
  // How many to take in the next turn. The call that finds nobody waiting, or how many wait, costs
  // as much as one that takes a client, so it begins with one and doubles as long as more wait.
  int quota_ = 1;
  std::optional<std::chrono::milliseconds> warned_;  // loop time of the last warning
  std::optional<loop::Timer> back_off_;              // since it had to rest for the first time
  loop::Poll poll_;
};

}  // namespace sc::net
