#include "relay/silent_peers.h"

#include <algorithm>
#include <utility>

#include "relay/relay.h"

namespace sc::relay {
namespace {

using std::chrono::milliseconds;

constexpr int kLooksPerLimit = 16;
constexpr milliseconds kLeastEvery{250};
constexpr milliseconds kNextTurn{1};

bool is_waiting(const net::TcpAnswers& known) { return known.is_outstanding || known.has_unsent; }

}  // namespace

bool Silence::note(const net::TcpAnswers& now_known, base::Instant now, milliseconds patience,
                   milliseconds limit) {
  if (!now_known.is_outstanding || now_known.since_ack < patience) {
    since_.reset();
    return false;
  }
  // The bytes may have been sent long after the latest ACK. So the silence counts from now on.
  if (!since_ || *since_ < now - now_known.since_ack) {
    since_ = now;
    then_ = now_known;
    return false;
  }
  const auto more = [](std::uint32_t later, std::uint32_t before) {
    return later > before ? later - before : 0;
  };
  const std::uint32_t unanswered =
      std::max({more(now_known.resent, then_.resent), more(now_known.timeouts, then_.timeouts),
                std::uint32_t{now_known.probes}});
  return now - *since_ >= limit && unanswered >= kUnanswered;
}

SilentPeers::SilentPeers(loop::Loop& loop, const Sessions& sessions,
                         const net::Keepalive& keepalive)
    : loop_(loop),
      sessions_(sessions),
      limit_(keepalive.limit()),
      every_(std::max(milliseconds(limit_) / kLooksPerLimit, kLeastEvery)),
      due_(loop, [this] { look(); }) {}

void SilentPeers::add(core::SessionId id, bool is_new) {
  if (limit_.count() == 0) return;
  if (!is_new) watched_.try_emplace(id);
  if (!due_.is_active()) due_.start(every_);
}

void SilentPeers::look() {
  if (last_ == 0) {
    before_began_ = std::exchange(round_began_, loop_.now());
    std::erase_if(watched_, [this](const auto& each) { return !sessions_.contains(each.first); });
  }
  for (std::size_t i = 0; i < kAtOnce; ++i) {
    const auto next = sessions_.upper_bound(last_);
    if (next == sessions_.end()) {
      last_ = 0;
      if (!sessions_.empty()) due_.start(every_);
      return;
    }
    last_ = next->first;
    look_at(next->first, *next->second);  // may end it
  }
  due_.start(kNextTurn);
}

void SilentPeers::look_at(core::SessionId id, Session& session) {
  Relay* relay = session.relay();
  if (relay == nullptr) return;
  const auto known = watched_.find(id);
  if (known == watched_.end() && relay->last_byte_at() < before_began_ && !relay->is_closing())
    return;
  const auto client = net::tcp_answers(relay->client_fd());
  const auto backend = net::tcp_answers(relay->backend_fd());
  if (!client || !backend) return;
  // Between two probes of a closed window nothing is outstanding, but no keepalive runs either.
  if (!is_waiting(*client) && !is_waiting(*backend)) {
    if (known != watched_.end()) watched_.erase(known);
    return;
  }
  Sides& sides = watched_[id];
  const base::Instant now = std::chrono::steady_clock::now();
  if (sides.backend.note(*backend, now, every_, limit_)) {
    relay->end_silent(core::EndReason::backend_reset);
  } else if (sides.client.note(*client, now, every_, limit_)) {
    relay->end_silent(core::EndReason::client_reset);
  }
}

}  // namespace sc::relay
