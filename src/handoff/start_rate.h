#pragma once

#include <chrono>
#include <vector>

#include "base/clock.h"
#include "handoff/stored_fd.h"

namespace sc::handoff {

// The service manager starts a service that has ended again at once, however often: else sessions
// would wait, as its own delay is any time up to 250 ms more than it was told (systemd 252; its
// timers have that accuracy). So a process that finds that too many others began before it waits
// by itself, or one that crashes at each start would keep a core busy for ever.
//
// kAtOnce starts may follow each other as they like; from then on one each kEvery.
struct StartRate {
  static constexpr std::chrono::milliseconds kEvery{250};
  static constexpr int kAtOnce = 100;
};

// Notes in the table of the former processes, if there is one among `stored`, that one more begins.
// How long it shall wait before it does anything, at most StartRate::kEvery.
std::chrono::milliseconds note_start(const std::vector<StoredFd>& stored, base::Instant now);

}  // namespace sc::handoff
