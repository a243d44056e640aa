#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/callback.h"
#include "base/result.h"
#include "core/session.h"

namespace sc::core {

// What the data plane tells of its sessions, and the one thing that can be done to one. Called from
// the control thread; answers come there too, once, later, unless it says otherwise; not at all
// when the data plane dies first.
class SessionBook {
 public:
  virtual ~SessionBook() = default;

  // Answers in bounded time, if need be without the sessions of a thread that does not answer.
  virtual void sessions(const SessionQuery& query, base::Callback<void(SessionPage)> on_done) = 0;

  // nullopt: no session that runs has this id. unavailable: the thread that would have it does not
  // answer.
  virtual void session(
      SessionId id, base::Callback<void(base::Result<std::optional<SessionDetails>>)> on_done) = 0;

  // Ends the session as `killed`, both sides by a reset, and calls on_done with its end. nullopt:
  // no running session has this id. unavailable: the thread of the session does not answer; it ends
  // the session once it goes on.
  virtual void kill(SessionId id,
                    base::Callback<void(base::Result<std::optional<EndedSession>>)> on_done) = 0;

  // The failures of the stream at the port; fewer where very many streams have them. At once.
  virtual Failures failures(std::uint16_t port) const = 0;

  // What is known of the backend's name; nullopt: it is an IP literal. At once, and asks no server.
  virtual std::optional<Resolution> resolution(const Backend& backend) = 0;

  // From now on `what` is remembered for take_news(). Asked for by whoever has watchers; costs each
  // session a little.
  enum class Watch : unsigned char { nothing, failures, sessions };
  virtual void watch(Watch what) = 0;
  // What came since it was asked last, in order; the oldest is missed where too much did. At once.
  virtual SessionNews take_news() = 0;

  // Resolves and dials the spec's backend as a session would, and hangs up.
  virtual void check(const StreamSpec& spec, base::Callback<void(CheckReport)> on_done) = 0;
};

}  // namespace sc::core
