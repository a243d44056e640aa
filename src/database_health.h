#pragma once

#include <chrono>
#include <functional>
#include <optional>

#include "base/callback.h"
#include "base/clock.h"
#include "base/result.h"
#include "core/health.h"
#include "store/sqlite_store.h"

namespace sc {

// Reports the database's condition: what its disk refuses, and a disk or a lock that does not let
// its threads go on. The thread that writes decides on readiness; queries that wait delay nothing
// but other queries. Control thread only.
class DatabaseHealth {
 public:
  // Calls the function once, after the delay; not at all when it is destroyed first.
  using Later = std::function<void(std::chrono::milliseconds, base::Callback<void()>)>;

  // A change that takes longer makes the service unready.
  static constexpr std::chrono::milliseconds kStalled{3000};
  // A query that waits longer is reported. One that runs is interrupted before that.
  static constexpr std::chrono::milliseconds kStalledRead{6000};
  static_assert(kStalledRead > store::SqliteStore::kPatience);

  // All arguments outlive this.
  DatabaseHealth(store::SqliteStore& store, core::Health& health, const base::Clock& clock,
                 Later later);
  DatabaseHealth(const DatabaseHealth&) = delete;
  DatabaseHealth& operator=(const DatabaseHealth&) = delete;

  // Looks at the threads now and every half second from now on.
  void start();

 private:
  void look();
  void look_at_reads(base::Instant now);
  void update();

  store::SqliteStore& store_;
  core::Health& health_;
  const base::Clock& clock_;
  const Later later_;
  std::optional<base::Error> trouble_;
  bool is_stalled_ = false;
};

}  // namespace sc
