#include "relay/failure_log.h"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

namespace sc::relay {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

// The address that was reached, else the dialled one that failed with the session's error.
net::PackedAddress address_of(const SessionEnd& end) {
  if (!end.address.is_empty() || !end.trouble || end.trouble->tried.empty()) return end.address;
  const auto& tried = end.trouble->tried;
  const auto found = std::find_if(tried.begin(), tried.end(), [&end](const net::DialTry& each) {
    return each.error == end.error && each.result != net::DialTry::Result::connected;
  });
  return (found != tried.end() ? *found : tried.front()).address;
}

base::WallTime ended_at(const SessionEnd& end) {
  return end.times.accepted_wall +
         std::chrono::duration_cast<base::WallTime::duration>(end.ended_after);
}

}  // namespace

FailureLog::~FailureLog() {
  if (kept_ == 0) return;
  budget_->used.fetch_sub(kept_, kRelaxed);
  budget_->streams.fetch_sub(1, kRelaxed);
}

FailureLog::Group& FailureLog::group_of(const SessionEnd& end) {
  Group key;
  key.reason = end.reason;
  key.error = end.error;
  key.address = address_of(end);
  if (key.address.is_empty()) key.backend = end.spec->backend;
  const auto found = std::find_if(groups_.begin(), groups_.end(), [&key](const Group& each) {
    return each.reason == key.reason && each.error == key.error && each.address == key.address &&
           each.backend == key.backend;
  });
  if (found != groups_.end()) return *found;
  key.first = key.last = ended_at(end);
  return groups_.emplace_back(std::move(key));
}

// The group that loses its oldest session next. Of equal sizes, one of the kind with the most
// groups does: a frequent failure of ever changing addresses evicts no failure with another error.
std::vector<FailureLog::Group>::iterator FailureLog::least_missed() {
  const auto kind_of = [](const Group& group) { return std::pair(group.reason, group.error); };
  std::map<std::pair<core::EndReason, int>, std::size_t> of_kind;
  for (const Group& each : groups_) ++of_kind[kind_of(each)];
  const auto is_less = [&](const Group& one, const Group& other) {
    const auto rank = [&](const Group& group) {
      return std::pair(group.ends.size(), of_kind.at(kind_of(group)));
    };
    if (rank(one) != rank(other)) return rank(one) < rank(other);
    return one.ends.front().number > other.ends.front().number;
  };
  return std::max_element(groups_.begin(), groups_.end(), is_less);
}

// Streams that have less than their part grow even where the budget is used up, as others may hold
// what they have without ever failing again.
std::size_t FailureLog::most() const {
  if (budget_->used.load(kRelaxed) < FailureBudget::kMost) return core::kMostFailures;
  return std::clamp<std::size_t>(FailureBudget::kMost / budget_->streams.load(kRelaxed), 1,
                                 core::kMostFailures);
}

void FailureLog::add(SessionEnd end) {
  auto kept = std::make_shared<const SessionEnd>(std::move(end));
  std::array<std::shared_ptr<const SessionEnd>, 2> gone;  // freed without the lock
  const std::lock_guard lock(mutex_);
  if (kept_ == 0) budget_->streams.fetch_add(1, kRelaxed);
  const std::size_t most = this->most();
  Group& group = group_of(*kept);
  ++group.count;
  group.last = std::max(group.last, ended_at(*kept));
  group.ends.push_back({added_++, std::move(kept)});
  ++kept_;
  budget_->used.fetch_add(1, kRelaxed);
  // A stream that has more than its part gives back one each time.
  for (auto& each : gone) {
    if (kept_ <= most) break;
    const auto from = least_missed();
    each = std::move(from->ends.front().end);
    from->ends.pop_front();
    if (from->ends.empty()) groups_.erase(from);
    --kept_;
    budget_->used.fetch_sub(1, kRelaxed);
  }
}

core::Failures FailureLog::told() const {
  std::vector<Group> groups;
  {
    const std::lock_guard lock(mutex_);
    groups = groups_;
  }
  const auto latest = [](const Group& group) { return group.ends.back().number; };
  std::sort(groups.begin(), groups.end(), [&latest](const Group& one, const Group& other) {
    return latest(one) > latest(other);
  });
  core::Failures told;
  std::vector<const Kept*> ends;
  for (const Group& group : groups) {
    core::FailureGroup& each = told.groups.emplace_back();
    each.reason = group.reason;
    each.error = group.error;
    each.address =
        group.address.is_empty() ? base::to_string(group.backend) : group.address.to_string();
    each.count = group.count;
    each.first = group.first;
    each.last = group.last;
    for (auto end = group.ends.rbegin(); end != group.ends.rend(); ++end) {
      each.sessions.push_back(end->end->id);
      ends.push_back(&*end);
    }
  }
  std::sort(ends.begin(), ends.end(),
            [](const Kept* one, const Kept* other) { return one->number > other->number; });
  told.sessions.reserve(ends.size());
  for (const Kept* end : ends) told.sessions.push_back(to_told(*end->end));
  return told;
}

}  // namespace sc::relay
