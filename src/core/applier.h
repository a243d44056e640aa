#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <set>

#include "base/result.h"
#include "core/actor.h"
#include "core/apply.h"
#include "core/ledger.h"
#include "core/plan.h"

namespace sc::core {

// Carries out lists of streams, one list after the other: so that two of them, each waiting for
// ports that the other one has, cannot stop each other. Control thread only.
class Applier {
 public:
  using OnDone = base::Callback<void(base::Result<ApplyReport>)>;

  Applier(Ledger& ledger, PlanRunner& runner) : ledger_(ledger), runner_(runner) {}
  Applier(const Applier&) = delete;
  Applier& operator=(const Applier&) = delete;

  void apply(ApplyRequest request, const Actor& actor, OnDone on_done);

 private:
  struct Applying {
    ApplyRequest request;
    Actor actor;
    OnDone on_done;
    std::set<std::uint16_t> listed;
    std::set<std::uint16_t> to_enter;
    std::set<std::uint16_t> entered;
  };
  using Held = std::unique_ptr<Applying>;

  void next();
  void enter(Held applying);
  void decide(Held applying);
  base::Result<void> add_listed(const Applying& applying, Plan& plan, ApplyReport& report) const;
  base::Result<void> add_unlisted(const Applying& applying, Plan& plan) const;
  void leave(const Applying& applying, const std::set<std::uint16_t>& but);
  void end(Held applying, base::Result<ApplyReport> report);

  Ledger& ledger_;
  PlanRunner& runner_;
  std::deque<Held> waiting_;
  bool running_ = false;
};

}  // namespace sc::core
