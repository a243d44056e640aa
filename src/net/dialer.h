#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/callback.h"
#include "base/fd.h"
#include "base/text.h"
#include "loop/loop.h"
#include "loop/poll.h"
#include "loop/timer.h"
#include "net/address.h"
#include "net/attempt_budget.h"
#include "net/dial_trace.h"
#include "net/own_paths.h"
#include "net/resolver/resolver_client.h"
#include "net/socket.h"

namespace sc::net {

// Why no address of the host took the connection.
enum class DialFailure : unsigned char {
  unresolved,  // the name has no address, or its look-up failed
  refused,     // every address refused or could not be reached
  timeout,     // the deadline came first
  exhausted,   // this host has no descriptor, memory or source port for a socket
  host,        // this host has no way to any address: no route, no such family, a firewall
  denied,      // only to addresses where nobody may be led
  // Every address that could be tried closes a ring of streams, or an attempt ran into a ring that
  // its accepting end found.
  loop,
  internal,  // a bug of this service
};

struct Dialed {
  base::Fd fd;
  Address address;
  // Watches fd already: one call to the kernel less than another one would cost. Dies before it.
  std::unique_ptr<loop::Poll> poll;
  bool by_given = false;         // fd is the socket that the dialer was given
  OwnPaths::Announced own = {};  // if it may be to a listener of this service; dies before fd
};

struct DialError {
  DialFailure failure = DialFailure::refused;
  std::string message;  // a sentence that names the host and the cause
  std::string cause;    // without the host
  int error = 0;        // errno of what failed so, where one refused ECONNREFUSED; 0: there is none
};

struct DialOptions {
  std::chrono::milliseconds timeout{5000};  // all attempts together, from the time of the addresses
  // Ports of this host that are not dialled, because listeners there trust callers on this host.
  // Without `paths` they are denied at loopback and wildcard addresses alone. What it points to
  // outlives the dialer.
  std::span<const std::uint16_t> denied_ports;
  // The trace tells of a first address that connected at once as well, which is left out else: it
  // would cost each of very many dials some memory.
  bool traces_all = false;
  // Where the service's own connections are announced, and for which stream it dials. nullptr: a
  // dial that is announced nowhere.
  OwnPaths* paths = nullptr;
  DialOrigin origin = {};
  // If it refuses a further attempt, the dialer asks again after kAttemptDelay. nullptr: attempts
  // have no limit.
  AttemptBudget* budget = nullptr;
  // Looks names up and outlives the dialer. null: every target is an IP literal.
  ResolverClient* resolver = nullptr;
  bool shares_port = false;  // see make_socket()
  // The target's host; null: the resolver finds it, which costs a lock and a search.
  std::shared_ptr<Name> name;
};

// host:port -> a connected socket. A name whose answer is cached costs no turn of the loop; the
// look-up has the resolver's time limit, the connection its own. All addresses of a name are tried,
// IPv6 and IPv4 in turns. The next attempt starts when one fails, or kAttemptDelay after it began.
// The first that connects wins (RFC 8305, with its recommended delay). Starts when made; on_done
// comes later, at most once; destruction cancels. Loop's thread only.
//
// `socket`: of make_socket(), for a target that is no name, which is then dialled by it alone.
// Somebody else may have a copy of it or know its number, so where it does not come to a connection
// it stays open as long as the dialer, and then is ended and not only closed.
class Dialer {
 public:
  struct Outcome {
    std::optional<Dialed> dialed;
    DialError error;  // when there is no `dialed`
    DialTrace trace;
  };
  // May destroy the Dialer.
  using OnDone = base::Callback<void(Outcome)>;

  static constexpr std::chrono::milliseconds kAttemptDelay{250};
  // The resolver's answer is overdue this long after the resolver's own limit. A look-up that
  // begins again because resolv.conf has changed may take a second more.
  static constexpr std::chrono::milliseconds kResolverSlack{2000};
  // The dialer waits this much longer for an overdue answer.
  static constexpr std::chrono::milliseconds kResolverGrace{1000};

  Dialer(loop::Loop& loop, base::HostPort target, DialOptions options, OnDone on_done,
         base::Fd socket = {});
  Dialer(const Dialer&) = delete;
  Dialer& operator=(const Dialer&) = delete;
  ~Dialer();

  // What was done so far, once; what is under way counts as abandoned.
  DialTrace take_trace();
  // What the host was resolved to, in the order of trying.
  const std::vector<Address>& addresses() const { return addresses_; }

 private:
  struct Attempt;
  struct EndUse {
    void operator()(AttemptBudget* budget) const { budget->give_attempt(); }
  };
  using Use = std::unique_ptr<AttemptBudget, EndUse>;  // of one attempt; null: it needs none

  void start_with_literal();
  void start_lookup();
  void on_answer(const NameAnswer& answer);
  void on_deadline();
  bool note_lost_ways();
  void on_attempt_due();
  void on_writable(Attempt& attempt, loop::Ready ready);
  void start_next();
  // Starts it, by `own` unless a socket was given. Nothing: it is under way.
  std::optional<ConnectError> connect(const Address& address, base::Fd& own,
                                      OwnPaths::Announced& announced);
  bool is_denied(const Address& address) const;
  void note(const Address& address, DialTry::Result result, int error, base::Instant started);
  void note_failure(DialFailure kind, std::string why, int error);
  void note_error(ErrorStep step, int error, const Address& address, base::Instant started);
  // Keeps the ring that the accepting end of the attempt has found, if it has found one.
  void note_ring(const Attempt& attempt);
  void fail(DialFailure failure, std::string why, int error);
  void finish(Outcome outcome);

  loop::Loop& loop_;
  base::HostPort target_;
  DialOptions options_;
  OnDone on_done_;
  base::Fd given_;  // until it has connected
  std::optional<Lookup> lookup_;
  bool is_overdue_ = false;  // the look-up's answer
  std::vector<Address> addresses_;
  std::size_t next_ = 0;
  std::string last_failure_;
  // What it comes to when no address is left; nullopt: no failure so far.
  std::optional<DialFailure> kind_;
  std::string why_;
  int error_ = 0;
  std::string ring_;                                // that an attempt ran into; empty: none
  std::vector<std::unique_ptr<Attempt>> attempts_;  // under way
  DialTrace trace_;                                 // of those that are not
  loop::Timer attempt_due_;
  loop::Timer deadline_;
};

// Sorted for RFC 8305 section 4: the families in turns, beginning with the first one's, each family
// in its order.
std::vector<Address> interleave_families(const std::vector<Address>& addresses);

}  // namespace sc::net
