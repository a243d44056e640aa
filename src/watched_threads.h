#pragma once

#include <functional>
#include <vector>

#include "liveness.h"
#include "relay/worker_pool.h"
#include "store/sqlite_store.h"
#include "systemd/notify_queue.h"

namespace sc {

// The threads that have to answer: the workers, the resolver's, the database's and the log's; and
// the service manager, which may be slow. `say_status` sends it a message, which shows that it
// reads again. All outlive the result.
std::vector<WatchedThread> watched_threads(relay::WorkerPool& plane, store::SqliteStore& store,
                                           const systemd::NotifyQueue& manager,
                                           std::function<void()> say_status);

}  // namespace sc
