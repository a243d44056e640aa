#include "api/failed_tokens.h"

#include <algorithm>

#include "http/peer_host.h"

namespace sc::api {
FailedTokens::Noted FailedTokens::note(const net::Address& peer, base::Instant now) {
  const std::string key = http::host_key(peer);
  auto found = entries_.find(key);
  if (found == entries_.end()) {
    make_room(now);
    found = entries_.emplace(key, Entry{now}).first;
  } else if (now - found->second.since >= kKept) {
    found->second = Entry{now};
  }
  const unsigned count = ++found->second.count;
  std::chrono::milliseconds delay = kFirstDelay;
  for (unsigned i = 1; i < count && delay < kMostDelay; ++i) delay *= 2;
  return {count, std::min(delay, kMostDelay)};
}

std::chrono::milliseconds FailedTokens::blocked_for(const net::Address& peer,
                                                    base::Instant now) const {
  if (peer.is_loopback() || peer.is_unix()) return std::chrono::milliseconds{0};
  const auto found = entries_.find(http::host_key(peer));
  if (found == entries_.end() || found->second.count < kMost) return std::chrono::milliseconds{0};
  const auto left = found->second.since + kKept - now;
  return std::max(std::chrono::ceil<std::chrono::milliseconds>(left), std::chrono::milliseconds{0});
}

void FailedTokens::make_room(base::Instant now) {
  if (entries_.size() < kMaxAddresses) return;
  std::erase_if(entries_, [&](const auto& entry) { return now - entry.second.since >= kKept; });
  if (entries_.size() < kMaxAddresses) return;
  entries_.erase(std::min_element(
      entries_.begin(), entries_.end(),
      [](const auto& a, const auto& b) { return a.second.since < b.second.since; }));
}

}  // namespace sc::api
