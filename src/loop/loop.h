#pragma once

#include <sys/epoll.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "base/callback.h"
#include "base/fd.h"

struct uv_loop_s;

namespace sc::loop {

class DueTimers;
class Poll;
struct SpareTimers;
struct WakeupWatcher;

// One event loop, for one thread. Everything made on it must be gone before it is: the destructor
// runs the loop once more for the closing handles and asserts that none is left, so a leak fails
// the test that made it.
//
// Timers and signals are libuv's. Descriptors are in an epoll set of the loop's own, with libuv's
// among them (uv_backend_fd): a uv_poll_t costs an ioctl and two epoll_ctl before it watches
// anything, and two more with every change of its mask (libuv 1.44); a Poll costs one each. Mail
// from other threads comes by one eventfd(2) in that set. A uv_async_t costs the receiver another
// epoll_wait, and it spins until the sender has returned from its write (libuv 1.44), for 1,000
// rounds where the receiver has taken the sender's core.
//
// A turn delivers what descriptors are ready for, then mail and signals, and calls due timers last.
// Before it calls them it looks at every descriptor once more. So bytes that have arrived are read
// before a timer judges silence. That holds after a pause of the process, and with more ready
// descriptors than one call of epoll_wait(2) returns.
class Loop {
 public:
  Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;
  ~Loop();

  // Turns until stop() is called or nothing is left to wait for.
  void run();
  // One turn; waits for at least one event if `wait`. For tests and for shutting down.
  void run_once(bool wait);
  // Called in each turn that has events, before any of them is delivered. What it uses lives until
  // the last turn.
  void set_first(base::Callback<void()> first) { first_ = std::move(first); }
  // From this loop's thread. The present turn is finished first.
  void stop() { stopped_ = true; }

  // Monotonic. Taken at the start of the present turn, and again before due timers are collected
  // and descriptors are looked at for them. No system call.
  std::chrono::milliseconds now() const { return now_; }

  // For this folder.
  uv_loop_s* raw() { return loop_.get(); }
  SpareTimers& spare_timers() { return *spare_timers_; }
  DueTimers& due_timers() { return *due_timers_; }

 private:
  friend class Poll;
  friend class Wakeup;

  bool is_alive() const;
  // The events that are there, at most kEventsPerTurn.
  std::size_t take_events(int timeout);
  void call_due_timers();
  // What was ready of the loop's own descriptors.
  struct OwnReady {
    bool libuv = false;
    bool bell = false;
  };
  OwnReady dispatch(std::size_t count);
  void add(std::shared_ptr<WakeupWatcher> wakeup);
  void remove(const WakeupWatcher* wakeup);
  void ring();  // any thread
  void answer_bell();
  // A Poll is going: what was reported for it in this turn is dropped.
  void forget(const Poll& poll);

  std::unique_ptr<uv_loop_s> loop_;
  std::chrono::milliseconds now_{0};
  std::unique_ptr<DueTimers> due_timers_;
  std::unique_ptr<SpareTimers> spare_timers_;
  base::Fd epoll_;
  base::Callback<void()> first_;
  base::Fd bell_;                                        // of all Wakeups; made with the first one
  std::atomic<bool> is_rung_{false};                     // bell_ was written to, and not read since
  std::vector<std::shared_ptr<WakeupWatcher>> wakeups_;  // null: it went while one was called
  bool calls_wakeups_ = false;
  std::size_t polls_ = 0;  // in the epoll set
  // The present turn's events from next_ on are still to be delivered.
  std::vector<epoll_event> events_;
  std::size_t next_ = 0;
  std::size_t count_ = 0;
  bool stopped_ = false;
};

}  // namespace sc::loop
