#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/callback.h"
#include "base/fd.h"
#include "base/result.h"
#include "core/actor.h"
#include "core/event.h"
#include "core/ledger.h"
#include "core/ring.h"
#include "core/stream.h"

namespace sc::core {

// What shall become of one port's stream. With the same spec before and after, it is made sure that
// its row is there, and a failed one is tried at once.
struct PlanStep {
  EventAction action = EventAction::created;  // or changed, removed, expired
  std::optional<Stream> before;               // as it is now
  std::optional<Stream> after;                // its state and reason are filled in on the way
  std::chrono::milliseconds drain{0};         // for the sessions of one that is closed
  std::string where;                          // in the request, as a JSON pointer
  base::Fd listener;                          // the port, when it is open already
};

// The stream shall be so; `present`: what is there, or null. As a change of what is there it keeps
// its revision's count.
PlanStep step_to(const Ledger& ledger, const StreamSpec& spec, const Stream* present,
                 const Actor& actor);
// It shall go: removed or expired.
PlanStep step_away(const Ledger& ledger, const Stream& present, EventAction action);

// The specs of the ledger's streams.
FindSpec specs_of(const Ledger& ledger);

// Returns whether the stream's fields may become so. invalid: all wrong ones, see validate(). What
// differs from `present` is judged by more: a new port has to be in range, a new expires_at ahead,
// a new listen_address this host's, and see check_zones(). Enabling a stream makes its
// listen_address new. A port of 0 is not looked at. `present`: as in step_to().
base::Result<void> check_fields(const Ledger& ledger, const StreamSpec& spec,
                                const Stream* present);

// Returns whether the stream may become so. invalid: see check_fields(). loop: its backend,
// listen_address or enabled is new and closes a ring with the streams that `others` returns.
// Without `others`: with the streams of the ledger.
base::Result<void> check_change(const Ledger& ledger, const StreamSpec& spec, const Stream* present,
                                const FindSpec& others = {});

// Changes of one or many ports: all or nothing.
struct Plan {
  std::vector<PlanStep> steps;
  Actor actor;
  bool dry_run = false;  // tries the ports, then gives up
  // The rows say so already: then nothing is undone, and a port that cannot be opened is `failed`.
  bool is_stored = false;
  bool is_paused = false;  // the listeners that shall close
  // With the steps as they were done.
  base::Callback<void(base::Result<std::vector<PlanStep>>)> on_done;
};

// Carries plans out: prepare, commit, activate; whatever fails undoes what came before. The caller
// has entered the ports of all steps; they are left before on_done. Control thread only.
class PlanRunner {
 public:
  explicit PlanRunner(Ledger& ledger) : ledger_(ledger) {}
  PlanRunner(const PlanRunner&) = delete;
  PlanRunner& operator=(const PlanRunner&) = delete;

  void run(Plan plan);

 private:
  using Held = std::unique_ptr<Plan>;
  using Closing = std::pair<std::uint16_t, std::chrono::milliseconds>;  // port, drain

  void release(Held plan);
  void prepare(Held plan);
  base::Result<void> prepare(const Plan& plan, PlanStep& step);
  void commit(Held plan);
  std::vector<StoreWrite> writes(const Plan& plan, const PlanStep& step) const;
  void activate(Held plan);
  void wait(Held plan, const std::vector<Closing>& closing,
            const std::vector<std::uint16_t>& opening);
  void give_up(Held plan, base::Error error);
  void take_back(Held plan);
  void reopen(PlanStep& step, const Actor& actor, std::vector<StoreWrite>& writes);
  void finish(Held plan, std::optional<base::Error> error);

  Ledger& ledger_;
};

}  // namespace sc::core
