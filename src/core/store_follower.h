#pragma once

#include <cstddef>
#include <vector>

#include "base/callback.h"
#include "base/result.h"
#include "core/actor.h"
#include "core/ledger.h"
#include "core/plan.h"
#include "core/stream.h"
#include "core/stream_store.h"

namespace sc::core {

struct BootReport {
  std::size_t opened = 0;
  std::size_t failed = 0;
  std::size_t disabled = 0;
  std::size_t expired = 0;
};

// What a reload set out to do; what fails on the way is logged and, for a port, tried again.
struct ReloadReport {
  std::size_t opened = 0;
  std::size_t changed = 0;
  std::size_t closed = 0;
};

// Makes the streams what the store holds: at a start, and after somebody changed it by hand.
// Control thread only. See Conductor.
class StoreFollower {
 public:
  StoreFollower(Ledger& ledger, PlanRunner& runner) : ledger_(ledger), runner_(runner) {}
  StoreFollower(const StoreFollower&) = delete;
  StoreFollower& operator=(const StoreFollower&) = delete;

  // Writes only what is not in the database already. Calls on_done before it returns.
  void boot(const StoredStreams& stored, base::Callback<void(BootReport)> on_done);
  void reload(const Actor& actor, base::Callback<void(base::Result<ReloadReport>)> on_done);
  // Reloads from the content of another database, as after a restore. Streams also get its times of
  // creation and revisions. The counters of streams that are opened begin with its traffic.
  ReloadReport take_up(const StoredStreams& stored, const Actor& actor);

 private:
  // `is_recorded_failed`: the last event of the port is, or will be, `failed`.
  void boot_one(const Stream& stored, const Traffic* carried, bool is_recorded_failed,
                std::vector<StoreWrite>& writes, BootReport& report);
  void warn_of_rings() const;
  void warn_if_in_ring(std::uint16_t port) const;
  void note_unreadable(const std::vector<UnreadableRow>& rows);
  // A reload's change, at its port, which it leaves in the end. `seen`: what ran when it was
  // decided.
  void follow(const Stream* wanted, const Stream* seen, const Actor& actor, bool is_restored);
  // `is_restored`: of another database, whose rows were not made by this process.
  ReloadReport follow_all(const StoredStreams& stored, const Actor& actor, bool is_restored);
  void adopt(const Stream& wanted);

  Ledger& ledger_;
  PlanRunner& runner_;
};

}  // namespace sc::core
