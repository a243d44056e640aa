#pragma once

#include <memory>

#include "base/callback.h"
#include "base/clock.h"
#include "core/session.h"
#include "loop/loop.h"
#include "net/dialer.h"
#include "net/resolver/name.h"

namespace sc::relay {

core::Resolution to_resolution(const net::Name& name, const base::Clock& clock);

// Reaches for a backend as a session would, and hangs up. Starts when made; on_done comes later,
// once; destruction cancels. `options` has it trace all. Loop's thread only.
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
  const std::shared_ptr<net::Name> name_;  // null: the backend is an IP literal
  OnDone on_done_;
  net::Dialer dialer_;
};

}  // namespace sc::relay
