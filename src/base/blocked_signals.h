#pragma once

#include <pthread.h>

#include <csignal>

namespace sc::base {

// While it lives, the calling thread takes no signals; a thread that is started meanwhile never
// does. Signals are the control thread's. Lives and dies on one thread.
class BlockedSignals {
 public:
  BlockedSignals() {
    sigset_t all{};
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;
  ~BlockedSignals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_{};
};

}  // namespace sc::base
