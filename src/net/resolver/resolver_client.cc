#include "net/resolver/resolver_client.h"

#include <utility>

namespace sc::net {

ResolverClient::ResolverClient(loop::Loop& loop, Resolver& resolver)
    : resolver_(resolver),
      answered_(loop, [this](const std::shared_ptr<Name>& name) { on_answered(name); }) {}

std::shared_ptr<const NameAnswer> ResolverClient::find(Name& name) {
  const base::Instant now = resolver_.clock().steady();
  name.note_use(now);
  auto answer = name.answer();
  if (!answer || now >= answer->usable_until) return nullptr;
  ResolverCounters& counters = resolver_.counters();
  counters.hits.fetch_add(1, std::memory_order_relaxed);
  if (answer->is_stale) counters.stale.fetch_add(1, std::memory_order_relaxed);
  return answer;
}

void ResolverClient::add(const std::shared_ptr<Name>& name, Lookup& lookup) {
  lookup.id_ = next_id_++;
  lookups_.emplace(lookup.id_, &lookup);
  auto& waiting = waiting_[name];
  waiting.push_back(lookup.id_);
  if (waiting.size() == 1) resolver_.ask(name, *this);
}

void ResolverClient::remove(const Lookup& lookup) { lookups_.erase(lookup.id_); }

void ResolverClient::on_answered(const std::shared_ptr<Name>& name) {
  auto waiting = waiting_.extract(name);
  if (waiting.empty()) return;
  const auto answer = name->answer();
  if (!answer) {
    waiting_.insert(std::move(waiting));
    return resolver_.ask(name, *this);
  }
  for (const std::uint64_t id : waiting.mapped()) {
    const auto found = lookups_.find(id);
    if (found == lookups_.end()) continue;  // cancelled
    auto done = std::move(found->second->on_done_);
    lookups_.erase(found);
    if (answer->is_stale) resolver_.counters().stale.fetch_add(1, std::memory_order_relaxed);
    done(answer);  // may destroy any Lookup
  }
}

Lookup::Lookup(ResolverClient& client, const std::shared_ptr<Name>& name, OnDone on_done)
    : client_(client), on_done_(std::move(on_done)) {
  client_.add(name, *this);
}

Lookup::~Lookup() { client_.remove(*this); }

}  // namespace sc::net
