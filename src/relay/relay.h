#pragma once

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/callback.h"
#include "base/clock.h"
#include "base/fd.h"
#include "core/end_reason.h"
#include "handoff/vault.h"
#include "loop/loop.h"
#include "loop/poll.h"
#include "loop/timer.h"
#include "net/dialer.h"
#include "net/own_paths.h"
#include "net/socket.h"
#include "relay/counters.h"
#include "relay/pump.h"
#include "relay/relay_end.h"

namespace sc::relay {

// Two pumps between two connected sockets that it owns, and what both wait for. Ends when both
// directions have; a reset of one side becomes a reset of the other, after what that side had sent
// before it was passed on. Loop's thread only.
class Relay {
 public:
  // At most once, never from inside the constructor. May destroy the Relay.
  using OnDone = base::Callback<void(RelayEnd)>;

  // idle_timeout: without a byte either way for so long it ends; zero: never. Throws
  // std::runtime_error, after both sides were reset, when the host cannot poll one more descriptor.
  Relay(loop::Loop& loop, base::Fd client, net::Dialed backend, const Pump::Resources& resources,
        std::chrono::milliseconds idle_timeout, StreamCounters& counters, OnDone on_done);
  // Goes on where a former process's was; `kept` has both sockets. `own` announces the backend's
  // socket if a listener of this service may accept it. Throws like the other constructor.
  Relay(loop::Loop& loop, handoff::KeptSession kept, net::OwnPaths::Announced own,
        const Pump::Resources& resources, std::chrono::milliseconds idle_timeout,
        StreamCounters& counters, OnDone on_done);
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  // Sets the connection of another stream of this service by which the client came. A ring that
  // ends the relay is marked there before the client is reset.
  void set_via(std::shared_ptr<net::OwnDial> via) { via_ = std::move(via); }

  // From now on it is kept for the next process, see SessionRecord. False: it is not, this time, or
  // is already.
  bool keep(handoff::Keeper& keeper, handoff::SessionFacts facts);
  // The same, for one whose client was kept before the backend was reached.
  bool keep(std::unique_ptr<handoff::SessionRecord> record);
  bool is_kept() const { return record_ && record_->is_held(); }

  // Both sides' descriptors, for whoever asks the kernel about them; -1 once it has ended.
  int client_fd() const { return client_.get(); }
  int backend_fd() const { return backend_.get(); }
  // One direction has ended in order.
  bool is_closing() const {
    return up_.state() == Pump::State::finished || down_.state() == Pump::State::finished;
  }
  std::uint64_t bytes_in() const { return bytes_in_; }
  std::uint64_t bytes_out() const { return bytes_out_; }
  std::chrono::milliseconds last_byte_at() const { return last_byte_at_; }  // in the loop's time
  // When the client took the backend's first byte; nothing: it has not, or a former process's did.
  std::optional<base::Instant> first_byte_at() const {
    return first_byte_at_ == base::Instant{} ? std::nullopt : std::optional(first_byte_at_);
  }
  // It was kept and is not any more: capsules hold copies of its sockets for a while yet.
  void expect_copies() { has_copies_ = true; }

  // Finds the backend dead when it falls silent; the client's socket has it from its listener.
  // Asked for only when the session has lived for a while, as it takes four calls.
  void keep_alive(const net::Keepalive& keepalive) {
    net::set_keepalive(backend_.get(), keepalive);
  }

  // The peer of that side acknowledges nothing any more. Calls on_done.
  void end_silent(core::EndReason reason) { finish(reason, ETIMEDOUT); }

  // Ends it now, both sides by a reset: half a transfer must not look like a whole one. Calls
  // on_done.
  void cut(core::EndReason reason);

 private:
  void start();
  bool begin_keeping();
  void stop_keeping();
  void end_copied(core::EndReason reason);
  void note_byte();
  void on_client(loop::Ready ready);
  void on_backend(loop::Ready ready);
  void on_broken(int fd, core::EndReason reason);
  void on_idle_check();
  void pump_up(bool ended);
  void pump_down(bool ended);
  void update();
  void blame_ring(RelayEnd& how) const;
  bool client_ended_first() const { return client_ended_first_at_.count() != 0; }
  bool left_empty(core::EndReason reason, int error) const;
  void finish(core::EndReason reason, int error);

  loop::Loop& loop_;
  base::Fd client_;
  base::Fd backend_;
  net::OwnPaths::Announced own_;                    // of backend_; ends before it is closed
  std::shared_ptr<net::OwnDial> via_;               // see set_via(); mostly null
  std::unique_ptr<handoff::SessionRecord> record_;  // of one that is kept
  bool has_copies_ = false;                         // it is, or was: close(2) alone ends nothing
  bool is_counted_ = false;                         // as one that was to be kept and was not
  // When the client ended in order before its backend, in the loop's time; 0: it did not.
  std::chrono::milliseconds client_ended_first_at_{0};
  Pump up_;    // client to backend
  Pump down_;  // backend to client
  StreamCounters& counters_;
  std::uint64_t bytes_in_ = 0;
  std::uint64_t bytes_out_ = 0;
  base::Instant first_byte_at_{};  // of bytes_out_; never: none yet
  std::chrono::milliseconds idle_timeout_;
  std::chrono::milliseconds last_byte_at_;  // in the loop's time
  OnDone on_done_;
  std::unique_ptr<loop::Timer> idle_check_;  // only with an idle timeout
  std::optional<loop::Poll> client_poll_;    // both until it has ended
  std::unique_ptr<loop::Poll> backend_poll_;
};

}  // namespace sc::relay
