#include "api/refusal_log.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace sc::api {
namespace {

constexpr std::size_t kLongestPath = 200;

}  // namespace

void RefusalLog::note(const Refusal& refusal, base::Instant now) {
  const std::string key = refusal.principal + '\n' + refusal.address;
  auto found = entries_.find(key);
  if (found != entries_.end() && now - found->second.logged < kEvery) {
    ++found->second.unlogged;
    return;
  }
  if (!may_log(now)) {
    ++suppressed_;
    return;
  }
  if (found == entries_.end()) {
    make_room();
    found = entries_.emplace(key, Entry{}).first;
  }
  const std::uint64_t times = 1 + std::exchange(found->second.unlogged, 0);
  found->second.logged = now;
  base::log::warning("change refused",
                     {{"principal", refusal.principal},
                      {"address", refusal.address},
                      {"method", refusal.method},
                      {"path", refusal.path.substr(0, kLongestPath)},
                      {"status", std::to_string(refusal.status)},
                      {"request_id", refusal.request_id},
                      {"times", std::to_string(times)},
                      {"suppressed", std::to_string(std::exchange(suppressed_, 0))}});
}

void RefusalLog::make_room() {
  if (entries_.size() < kMostCallers) return;
  entries_.erase(std::min_element(
      entries_.begin(), entries_.end(),
      [](const auto& a, const auto& b) { return a.second.logged < b.second.logged; }));
}

bool RefusalLog::may_log(base::Instant now) {
  if (now - window_ >= kEvery) {
    window_ = now;
    lines_ = 0;
  }
  return lines_++ < kMostLines;
}

}  // namespace sc::api
