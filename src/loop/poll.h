#pragma once

#include <cstdint>
#include <stdexcept>

#include "base/callback.h"
#include "loop/loop.h"

namespace sc::loop {

// What a descriptor is ready for. After an error read and write are set: the next of them finds out
// what happened, and its errno.
struct Ready {
  bool read = false;
  bool write = false;
  bool ended = false;   // with read: its end is there, behind what may be left to read
  bool broken = false;  // an error or a full hang-up
};

// The host polls no further descriptor, or not this one.
struct PollError : std::runtime_error {
  explicit PollError(int error);
  int number;  // errno of epoll_ctl(2)
};

// Watches one descriptor that somebody else owns; declare it after its Fd, so that it dies first.
// Level-triggered. Remembers its mask, so that asking for the same again costs nothing; the
// descriptor enters the loop's epoll set with the first mask that is not empty and stays there,
// which makes each later change one EPOLL_CTL_MOD. Loop's thread only.
class Poll {
 public:
  // May destroy the Poll.
  using OnReady = base::Callback<void(Ready)>;

  // The descriptor is non-blocking.
  Poll(Loop& loop, int fd, OnReady on_ready);
  Poll(const Poll&) = delete;
  Poll& operator=(const Poll&) = delete;
  ~Poll();

  // Replaces what is waited for. Neither: nothing is told, not even an error. The first time throws
  // PollError when the host polls no further descriptor (epoll_ctl(2): ENOSPC, ENOMEM) or
  // not this one (EPERM, EBADF).
  void watch(bool read, bool write);
  // Replaces it by errors and full hang-up, each told once; for a socket whose end has been read
  // already, which would be readable all the time. Throws as watch() does.
  void watch_broken();

  // Ends the watching for a descriptor that is closed next and of which there is no copy: close(2)
  // takes it out of the epoll set, which saves a call. Nothing is told any more.
  void abandon();

  // Hands the watching, with its mask, to somebody else; also from inside on_ready. Nothing: the
  // next event is dropped and the mask with it.
  void set_on_ready(OnReady on_ready);

 private:
  friend class Loop;

  void leave_loop();
  void set_mask(std::uint32_t mask);
  void deliver(std::uint32_t events);
  void let_go_of_running();

  Loop& loop_;
  int fd_;
  std::uint32_t mask_ = 0;  // of epoll_ctl(2)
  bool is_registered_ = false;
  // While on_ready_ runs, which is on the stack then: whether it is not to come back here.
  bool* replaced_ = nullptr;
  OnReady on_ready_;
};

}  // namespace sc::loop
