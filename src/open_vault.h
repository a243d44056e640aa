#pragma once

#include <memory>
#include <vector>

#include "base/clock.h"
#include "config/settings.h"
#include "handoff/vault.h"
#include "systemd/listen_fds.h"
#include "systemd/notify_queue.h"

namespace sc {

// Opens what a former process left with the service manager. Null without a manager: then
// everything works, but ends with the process. Waits if the service was started too often lately.
std::unique_ptr<handoff::Vault> open_vault(const config::Settings& settings,
                                           std::vector<systemd::PassedFd> passed,
                                           const std::shared_ptr<systemd::NotifyQueue>& notify,
                                           const base::Clock& clock);

}  // namespace sc
