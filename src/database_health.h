#pragma once

#include <chrono>
#include <functional>
#include <optional>

#include "base/callback.h"
#include "base/result.h"
#include "core/health.h"
#include "store/sqlite_store.h"

namespace sc {

// Reports the database's condition: what its disk refuses, and a disk or a lock that does not let
// its threads go on. Control thread only.
class DatabaseHealth {
 public:
  // Calls the function once, after the delay; not at all when it is destroyed first.
  using Later = std::function<void(std::chrono::milliseconds, base::Callback<void()>)>;

  // A job that takes longer makes the service unready.
  static constexpr std::chrono::milliseconds kStalled{3000};

  DatabaseHealth(store::SqliteStore& store, core::Health& health, Later later);
  DatabaseHealth(const DatabaseHealth&) = delete;
  DatabaseHealth& operator=(const DatabaseHealth&) = delete;

  // Looks at the threads now and every half second from now on.
  void start();

 private:
  void look();
  void update();

  store::SqliteStore& store_;
  core::Health& health_;
  const Later later_;
  std::optional<base::Error> trouble_;
  bool is_stalled_ = false;
};

}  // namespace sc
