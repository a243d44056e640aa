#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/callback.h"
#include "base/clock.h"

namespace sc::core {

// Whether the service can still do its whole job while a condition lasts.
enum class Readiness : unsigned char {
  ready,    // degraded: clients are served and changes are accepted
  unready,  // /readyz answers 503: a part of the job is not done
};

// One thing that is wrong with the service itself, as opposed to one of its streams.
struct Condition {
  std::string component;  // "database", "worker-1", "log", ...; unique among the conditions
  // A sentence: what is wrong, what follows from it, what to do. It holds no running number, since
  // each change of it is logged.
  std::string reason;
  Readiness readiness = Readiness::ready;
  base::WallTime since{};  // when the component's present condition was first reported
  bool operator==(const Condition&) const = default;
};

// The service's present conditions, by component. Each part of the service reports its own and
// clears it when it is over. /v1/status, /readyz, the metrics and the status line for systemd read
// them here. A condition that begins, changes or ends is logged. Control thread only.
class Health {
 public:
  // `clock` outlives this.
  explicit Health(const base::Clock& clock) : clock_(clock) {}
  Health(const Health&) = delete;
  Health& operator=(const Health&) = delete;

  // Begins the component's condition or replaces its reason; `since` stays when it only changes.
  void report(const std::string& component, const std::string& reason, Readiness readiness);
  // Ends the component's condition, if it has one.
  void clear(const std::string& component);

  bool is_ready() const;
  // Sorted by component.
  std::vector<Condition> conditions() const;
  // The condition that matters most to a reader of one line: an unready one first. Null: none.
  const Condition* worst() const;

  // Called after each change. One at a time.
  void set_on_change(base::Callback<void()> on_change) { on_change_ = std::move(on_change); }

 private:
  const base::Clock& clock_;
  std::map<std::string, Condition> conditions_;
  base::Callback<void()> on_change_;
};

}  // namespace sc::core
