#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "handoff/capsule.h"
#include "handoff/layout.h"
#include "handoff/store_link.h"
#include "handoff/table.h"
#include "handoff/trouble.h"

namespace sc::handoff {

class Keeper;
struct Capsule;

// Descriptors that the manager holds a copy of, by way of a capsule. It ends with this object; the
// descriptors belong to somebody else, who keeps them open until then. Keeper's thread.
class Kept {
 public:
  Kept(const Kept&) = delete;
  Kept& operator=(const Kept&) = delete;
  ~Kept();

  const Record& record() const { return record_; }
  // Whether there is a copy: a capsule may turn out to have been refused.
  bool is_held() const { return capsule_ != nullptr; }
  // It was counted as one that is not kept; a session is so once.
  bool is_counted() const { return is_counted_; }
  void set_counted() { is_counted_ = true; }

 private:
  friend class Keeper;
  Kept(Keeper& keeper, const Record& record, std::span<const int> fds);

  std::span<const int> fds() const { return {fds_.data(), fd_count_}; }

  Keeper& keeper_;
  Record record_;
  std::array<int, 2> fds_{-1, -1};
  std::size_t fd_count_ = 0;
  Capsule* capsule_ = nullptr;
  std::size_t place_ = 0;  // in capsule_->living
  bool is_counted_ = false;
};

// Counts for an operator. Any thread.
struct KeepCounters {
  std::atomic<std::size_t> sessions{0};                          // kept now
  std::array<std::atomic<std::uint64_t>, kTroubles> not_kept{};  // sessions that should be and are
                                                                 // not, ever, by Trouble
};

// Keeps descriptors in capsules of its own. One thread, that of a worker or the control thread;
// outlives what it keeps. Kernel behaviour: unix(7), SCM_RIGHTS.
class Keeper {
 public:
  // Half of what a socket's default buffer takes; a record costs an sk_buff of it.
  static constexpr std::size_t kMostRecords = 128;
  // A capsule takes no more once so many of what was in it have ended, and half as many live: the
  // kernel frees the sockets of those that ended when it goes, all at once, and whoever lives waits
  // for that where the manager has the core that its peers need. Where few live, nobody waits, and
  // more capsules would be the manager's work alone. The few pipes of a worker count as well.
  static constexpr std::size_t kManyEnded = 16;
  // A full one of which fewer live is given up, and they move on.
  static constexpr std::size_t kFewLiving = kMostRecords / 4;
  // Calls that do without after the manager took no capsule; asking each time costs it and us.
  static constexpr unsigned kRefusedCalls = 64;

  // `group`: by which the next process knows whose capsules they are.
  // `eager`: whatever is let go leaves its capsule with the next flush(), as its copy would keep a
  // port from being bound.
  Keeper(const StoreLink& link, Table& table, KeepCounters& counters, std::string group,
         bool eager = false);
  Keeper(const Keeper&) = delete;
  Keeper& operator=(const Keeper&) = delete;
  ~Keeper();

  Table& table() { return table_; }
  KeepCounters& counters() { return counters_; }

  // Asks the manager for the next capsule ahead, if one is needed: so that the first is known to be
  // refused, if it is, when the first session comes, and that no client waits for one of the
  // others.
  void prepare();
  // Null: it is not kept; trouble() says why.
  std::unique_ptr<Kept> keep(const Record& record, std::span<const int> fds);
  // It becomes this instead; the former copy stays until it succeeded. False: it is as before.
  bool replace(Kept& kept, const Record& record, std::span<const int> fds);
  Trouble trouble() const { return trouble_; }
  // The manager does not read its messages now. No system call.
  bool is_busy() const { return link_.is_busy(); }
  // Whether something was not kept for that reason since the last call.
  bool take_missed() { return std::exchange(has_missed_, false); }

  // A former process's capsule: what of its records lives on. `total`: how many there are.
  struct Found {
    Record record;
    std::array<int, 2> fds{-1, -1};
    std::size_t fd_count = 0;
  };
  std::vector<std::unique_ptr<Kept>> adopt(const std::string& name, std::size_t total,
                                           const std::vector<Found>& living);
  // Whatever is let go until then stays in its capsule; flush() follows.
  void begin_adopting() { is_adopting_ = true; }

  // Empties capsules that hold what was let go: all such if eager, else those of which few live.
  void flush();

  // From now on a call may wait until the manager reads, for `patience` in all. For a stop, when a
  // session that is not kept is lost. Before this call nothing waits for the manager.
  void set_patience(std::chrono::milliseconds patience);

  // From now on nothing is let go any more, so that the next process finds all as it is.
  void leave() { is_leaving_ = true; }
  bool is_leaving() const { return is_leaving_; }

 private:
  friend class Kept;

  Capsule* open_capsule();
  bool wait_for_manager();
  bool push(Kept& kept, const Record& record, std::span<const int> fds, Capsule** former = nullptr);
  bool is_full(const Capsule& capsule) const;
  static void put_into(Capsule& capsule, Kept& kept);
  static void take_out(Kept& kept);
  void forget(Kept& kept);
  void seal_current();
  void settle(Capsule& capsule, bool was_adopting = false);
  bool move_on(Capsule& capsule);
  void remove(Capsule& capsule);
  void on_refused(Capsule& capsule);

  const StoreLink& link_;
  Table& table_;
  KeepCounters& counters_;
  const std::string group_;
  const bool eager_;
  bool is_leaving_ = false;
  bool is_adopting_ = false;
  Trouble trouble_ = Trouble::none;
  bool has_missed_ = false;
  std::chrono::milliseconds patience_{0};
  unsigned calls_to_skip_ = 0;
  std::vector<std::unique_ptr<Capsule>> capsules_;
  Capsule* current_ = nullptr;  // takes records
  Capsule* resting_ = nullptr;  // the last one that became full
};

}  // namespace sc::handoff
