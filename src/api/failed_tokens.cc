#include "api/failed_tokens.h"

#include <netinet/in.h>

#include <algorithm>

namespace sc::api {
namespace {

std::string key_of(const net::Address& peer) {
  if (peer.family() != AF_INET6) return peer.ip();
  const auto& address = reinterpret_cast<const sockaddr_in6*>(peer.raw())->sin6_addr;
  if (IN6_IS_ADDR_V4MAPPED(&address)) return peer.ip();
  return {reinterpret_cast<const char*>(&address), 8};
}

}  // namespace

FailedTokens::Noted FailedTokens::note(const net::Address& peer, base::Instant now) {
  const std::string key = key_of(peer);
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
  const auto found = entries_.find(key_of(peer));
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
