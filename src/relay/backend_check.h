#pragma once

#include "base/callback.h"
#include "base/clock.h"
#include "core/session.h"
#include "loop/loop.h"
#include "net/dialer.h"

namespace sc::relay {

// Reaches for a backend as a session would, and hangs up. Starts when made; on_done comes later,
// once; destruction cancels. Loop's thread only.
class BackendCheck {
 public:
  // May destroy the BackendCheck.
  using OnDone = base::Callback<void(core::CheckReport)>;

  BackendCheck(loop::Loop& loop, const core::Backend& backend, net::DialOptions options,
               OnDone on_done);
  BackendCheck(const BackendCheck&) = delete;
  BackendCheck& operator=(const BackendCheck&) = delete;

 private:
  void on_outcome(net::Dialer::Outcome outcome);

  const base::Instant started_;
  OnDone on_done_;
  net::Dialer dialer_;
};

}  // namespace sc::relay
