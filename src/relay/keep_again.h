#pragma once

#include <map>
#include <memory>

#include "core/session.h"
#include "handoff/keeper.h"
#include "loop/loop.h"
#include "loop/timer.h"
#include "relay/session.h"

namespace sc::relay {

// Keeps sessions for the next process that were not kept when they should have been, because the
// service manager did not read its messages. Loop's thread only.
class KeepAgain {
 public:
  // Tried in one turn: each costs a message.
  static constexpr int kAtOnce = 256;

  // `keeper`: null if nothing is kept. Both outlive this.
  KeepAgain(loop::Loop& loop, const std::map<core::SessionId, std::unique_ptr<Session>>& sessions,
            handoff::Keeper* keeper)
      : sessions_(sessions), keeper_(keeper), due_(loop, [this] { keep_some(); }) {}
  KeepAgain(const KeepAgain&) = delete;
  KeepAgain& operator=(const KeepAgain&) = delete;

  // To be called every now and then; costs nothing unless there is something to do.
  void look();
  void stop() { due_.stop(); }

 private:
  void keep_some();

  const std::map<core::SessionId, std::unique_ptr<Session>>& sessions_;
  handoff::Keeper* const keeper_;
  core::SessionId last_ = 0;
  loop::Timer due_;
};

}  // namespace sc::relay
