#include "core/health.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace sc::core {

void Health::report(const std::string& component, const std::string& reason, Readiness readiness) {
  Condition condition{component, reason, readiness, clock_.wall()};
  const auto found = conditions_.find(component);
  if (found != conditions_.end()) {
    condition.since = found->second.since;
    if (found->second == condition) return;
  }
  base::log::warning("service degraded", {{"component", component},
                                          {"ready", readiness == Readiness::ready ? "yes" : "no"},
                                          {"reason", reason}});
  conditions_[component] = std::move(condition);
  if (on_change_) on_change_();
}

void Health::clear(const std::string& component) {
  if (conditions_.erase(component) == 0) return;
  base::log::info("service recovered", {{"component", component}});
  if (on_change_) on_change_();
}

bool Health::is_ready() const {
  return std::none_of(conditions_.begin(), conditions_.end(),
                      [](const auto& each) { return each.second.readiness == Readiness::unready; });
}

std::vector<Condition> Health::conditions() const {
  std::vector<Condition> out;
  out.reserve(conditions_.size());
  for (const auto& [component, condition] : conditions_) out.push_back(condition);
  return out;
}

const Condition* Health::worst() const {
  const Condition* worst = nullptr;
  for (const auto& [component, condition] : conditions_)
    if (worst == nullptr ||
        (worst->readiness == Readiness::ready && condition.readiness == Readiness::unready))
      worst = &condition;
  return worst;
}

}  // namespace sc::core
