#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>

#include "base/clock.h"
#include "core/session.h"
#include "loop/loop.h"
#include "loop/timer.h"
#include "net/socket.h"
#include "net/tcp_answers.h"
#include "relay/session.h"

namespace sc::relay {

// How long one side of a session has not answered. A value.
class Silence {
 public:
  // Sent without an answer since the silence was noticed, before the peer is taken for dead. A peer
  // with a closed window answers each probe, but the kernel sends them up to 120 s apart, so time
  // alone proves nothing.
  static constexpr std::uint32_t kUnanswered = 2;

  // Takes what the kernel says now. True: the peer has answered nothing for `limit`. `patience`: an
  // ACK that is not older means that the peer lives.
  bool note(const net::TcpAnswers& now_known, base::Instant now, std::chrono::milliseconds patience,
            std::chrono::milliseconds limit);

 private:
  std::optional<base::Instant> since_;  // noticed; nullopt: it answers, or has nothing to answer
  net::TcpAnswers then_;
};

// Ends sessions whose client or backend host has vanished while bytes or an end were under way to
// it, after the time that keepalive takes for an idle one. The kernel sends no keepalive meanwhile,
// but retransmits for 15 min (net.ipv4.tcp_retries2). TCP_USER_TIMEOUT would also end a peer that
// lives with its window closed.
//
// Every 1/16 of that time it asks the kernel about both sockets of each session that moved a byte
// since it looked last, of each with something unacknowledged or unsent then, and of each
// half-closed one. So an idle session costs no system call. Loop's thread only.
class SilentPeers {
 public:
  using Sessions = std::map<core::SessionId, std::unique_ptr<Session>>;

  static constexpr std::size_t kAtOnce = 256;  // sessions that are looked at in one turn

  // `sessions` outlives this. Without keepalive it does nothing.
  SilentPeers(loop::Loop& loop, const Sessions& sessions, const net::Keepalive& keepalive);
  SilentPeers(const SilentPeers&) = delete;
  SilentPeers& operator=(const SilentPeers&) = delete;

  // Not `is_new`: something of it may be unacknowledged since an earlier time.
  void add(core::SessionId id, bool is_new);
  void stop() { due_.stop(); }

 private:
  struct Sides {
    Silence client;
    Silence backend;
  };

  void look();
  void look_at(core::SessionId id, Session& session);

  loop::Loop& loop_;
  const Sessions& sessions_;
  const std::chrono::milliseconds limit_;
  const std::chrono::milliseconds every_;
  std::map<core::SessionId, Sides> watched_;   // with something unacknowledged or unsent
  core::SessionId last_ = 0;                   // looked at, in this round
  std::chrono::milliseconds round_began_{0};   // in the loop's time
  std::chrono::milliseconds before_began_{0};  // the round before
  loop::Timer due_;
};

}  // namespace sc::relay
