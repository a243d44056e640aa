#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/callback.h"
#include "base/fd.h"
#include "core/end_reason.h"
#include "core/session.h"
#include "handoff/vault.h"
#include "loop/loop.h"
#include "loop/timer.h"
#include "net/dialer.h"
#include "net/socket.h"
#include "relay/counters.h"
#include "relay/new_client.h"
#include "relay/relay.h"
#include "relay/session_end.h"
#include "relay/stream_context.h"

namespace sc::relay {

// What a session takes from the settings, where its stream does not say otherwise; the same for all
// of a service's life.
struct SessionOptions {
  std::chrono::milliseconds connect_timeout{5000};
  std::chrono::milliseconds idle_timeout{0};  // zero: none
  net::Keepalive keepalive;
  // Sessions that are older are kept for the next process; zero: from the start.
  std::chrono::milliseconds durable_after{1000};
  std::vector<std::uint16_t> denied_ports;  // see net::DialOptions
  std::chrono::milliseconds lifetime{0};    // how old one may get; zero: as it likes
  bool shares_ports = false;                // streams may have ports that dials get from the kernel
  // Set by the pool; they outlive the sessions.
  net::OwnPaths* paths = nullptr;
  net::AttemptBudget* budget = nullptr;
  // Of the worker's loop. null: every backend is an IP literal.
  net::ResolverClient* resolver = nullptr;
};

// One client's way through a stream: dials the backend, then relays until both sides are done.
// Loop's thread only.
//
//     dialing --connected--> relaying --over--> ended
//        \--failed, cut----------------------->/
class Session {
 public:
  enum class State : unsigned char { dialing, relaying, ended };

  // How the dial went; `trouble` is empty: connected. At most once, never from inside the
  // constructor; not at all after a fault of this service.
  using OnDialed = base::Callback<void(core::Reach reach, const std::string& trouble)>;
  // At most once, never from inside the constructor. May destroy the Session.
  using OnEnd = base::Callback<void(SessionEnd)>;

  // `options`, what `resources` point to and `keeper` outlive the session. No keeper: it ends with
  // the process.
  Session(loop::Loop& loop, core::SessionId id, StreamContext stream, NewClient client,
          const SessionOptions& options, const Pump::Resources& resources, handoff::Keeper* keeper,
          OnDialed on_dialed, OnEnd on_end);
  // Goes on where a former process's was; whether it counts for sessions_total, and what it has
  // carried so far for the bytes, is the caller's.
  Session(loop::Loop& loop, core::SessionId id, StreamContext stream, handoff::KeptSession kept,
          const SessionOptions& options, const Pump::Resources& resources, handoff::Keeper* keeper,
          OnDialed on_dialed, OnEnd on_end);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session() = default;

  // From now on a backend that falls silent is found dead.
  void keep_alive();

  // It is old enough to be kept for the next process, if its stream has it so: now or, while it is
  // dialing, once the backend is reached. Whether it is.
  bool keep();
  // The process ends: what can be kept has to be now. False: it ends with the process.
  bool keep_at_last();
  // Keeps it if it should be kept already and is not.
  void keep_if_due() {
    if (is_due_) keep();
  }
  bool is_kept() const;

  // Ends it now, the client by a reset. Calls on_end.
  void cut(core::EndReason reason);

  const StreamContext& stream() const { return stream_; }
  State state() const { return state_; }
  Relay* relay() { return relay_.get(); }  // null while it dials

  core::SessionId id() const { return id_; }
  const net::PackedAddress& client() const { return peer_; }
  const SessionTimes& times() const { return times_; }
  std::uint64_t bytes() const { return relay_ ? relay_->bytes_in() + relay_->bytes_out() : 0; }
  // Not after its end.
  core::RunningSession running() const;
  core::SessionDetails details() const;  // asks the kernel, some ten calls

 private:
  // It counts for sessions_active, also when the constructor throws later on.
  class Activity {
   public:
    explicit Activity(StreamCounters& counters);
    Activity(const Activity&) = delete;
    Activity& operator=(const Activity&) = delete;
    ~Activity();

   private:
    StreamCounters& counters_;
  };

  void start();
  void start_dialing(base::Fd socket = {});
  void on_outcome(net::Dialer::Outcome outcome);
  handoff::SessionFacts facts() const;
  bool keep_backend(const net::Dialed& dialed);
  void remember(net::DialTrace trace);
  std::chrono::microseconds age() const;
  void blame_host(RelayEnd& how, std::string& detail) const;
  bool left_early(const RelayEnd& how) const;
  net::OwnPaths::Announced announce_backend(int fd, const net::Address& address) const;
  void end(RelayEnd how, std::string detail);

  loop::Loop& loop_;
  const core::SessionId id_;
  StreamContext stream_;
  net::PackedAddress peer_;
  net::PackedAddress address_;  // of the backend, once it is reached
  base::Fd client_;             // until the relay has it
  const SessionOptions& options_;
  Pump::Resources resources_;
  handoff::Keeper* keeper_;
  SessionTimes times_;
  State state_ = State::dialing;
  bool keeps_alive_ = false;
  bool is_due_ = false;      // to be kept once the backend is reached
  bool is_counted_ = false;  // as one that was to be kept early and was not
  OnDialed on_dialed_;
  OnEnd on_end_;
  std::unique_ptr<SessionTrouble> trouble_;         // null: none so far
  std::unique_ptr<loop::Timer> lifetime_due_;       // only where its stream sets a lifetime
  std::unique_ptr<handoff::SessionRecord> record_;  // while dialing, if its client is kept
  std::unique_ptr<net::Dialer> dialer_;             // while dialing
  std::unique_ptr<Relay> relay_;                    // while relaying
  std::shared_ptr<net::OwnDial> via_;  // by which its client came; mostly null; then the relay's
  Activity activity_;                  // the last: who sees a socket closed finds it counted out
};

std::string_view to_string(Session::State state);

// Of one that was accepted by a former process.
SessionTimes times_of_kept(const handoff::SessionFacts& facts);

}  // namespace sc::relay
