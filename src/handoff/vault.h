#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "handoff/keeper.h"
#include "handoff/session_record.h"
#include "handoff/store_link.h"
#include "handoff/stored_fd.h"
#include "handoff/table.h"

namespace sc::handoff {

// A pipe of a former process with what it holds.
struct KeptPipe {
  base::Fd fd;  // both ends
  std::size_t bytes = 0;
  std::unique_ptr<PipeRecord> record;
};

// A session of a former process. Dies on its keeper's thread.
struct KeptSession {
  std::size_t keeper = 0;
  base::Fd client;
  base::Fd backend;  // none: it was being dialled
  std::unique_ptr<SessionRecord> record;
  std::optional<KeptPipe> up;  // what was read of the client and not yet taken by the backend
  std::optional<KeptPipe> down;
};

struct KeptListener {
  base::Fd fd;
  std::unique_ptr<Kept> kept;
};

// What this process keeps for the next one, and what the former one has left for it: the table and
// a keeper for each worker and one for the listeners. Control thread, but for the keepers.
class Vault {
 public:
  // What a former process left is looked through; what nobody may use is ended, and the reason
  // logged. `sessions`: how many there can be, if the table is a new one. unavailable: the host
  // gives no memory, or nobody keeps descriptors for us.
  static base::Result<std::unique_ptr<Vault>> open(StoreLink link, std::vector<StoredFd> stored,
                                                   std::size_t workers, std::uint32_t sessions);
  Vault(const Vault&) = delete;
  Vault& operator=(const Vault&) = delete;
  ~Vault();

  Keeper& keeper(std::size_t worker) { return *keepers_[worker]; }
  Keeper& listener_keeper() { return *keepers_.back(); }
  const KeepCounters& counters() const { return counters_; }

  // Each once.
  std::vector<KeptSession> take_sessions() { return std::exchange(sessions_, {}); }
  std::vector<KeptPipe> take_pipes(std::size_t worker) { return std::exchange(pipes_[worker], {}); }
  // Those at the port; more than one only where a change of address was under way.
  std::vector<KeptListener> take_listeners(std::uint16_t port);
  // Of ports that nobody has asked for.
  void end_listeners();

  // Whether the manager keeps anything at all, as far as one can tell by now: it does not say.
  bool is_store_there() const;

 private:
  struct Search;
  struct Owned {
    KeptSession* session;
    Direction direction;
  };
  using Owners = std::unordered_map<std::uint64_t, Owned>;  // by what a claim says

  Vault(StoreLink link, std::unique_ptr<Table> table, std::size_t workers);

  void send_probe();
  void search(std::vector<StoredFd> capsules);
  void look_into_capsule(Search& search, const StoredFd& stored);
  bool is_forgotten(const FoundRecord& found) const;
  void settle_dialing(FoundRecord& found) const;
  bool is_living(Search& search, std::size_t keeper, const FoundRecord& found) const;
  void take_in(Search& search, std::size_t keeper, FoundRecord found, std::unique_ptr<Kept> kept);
  Owners owners();
  void give_out_pipes(Search& search, const Owners& owners);
  std::optional<KeptPipe> free_pipe(std::size_t keeper);
  bool finish_copy(CopySlot& copy, Owned owned);
  std::size_t finish_copies(const Owners& owners);
  void end_what_is_broken(Search& search);
  void end_where_pipes_are_missing(Search& search);

  StoreLink link_;
  std::unique_ptr<Table> table_;
  KeepCounters counters_;
  std::vector<std::unique_ptr<Keeper>> keepers_;  // of the workers, and last that of the listeners
  std::vector<KeptSession> sessions_;
  std::vector<std::vector<KeptPipe>> pipes_;  // empty ones, by worker
  std::multimap<std::uint16_t, KeptListener> listeners_;
  base::Fd probe_;  // hangs up when the manager does not keep its other end
};

}  // namespace sc::handoff
