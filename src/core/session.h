#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "core/end_reason.h"
#include "core/stream.h"

// What can be told of sessions, as values. Addresses are `10.1.0.1:2000` or `[2001:db8::1]:2000`.
namespace sc::core {

// Rises with time, over all workers nearly in the order of accepting, and from one process to the
// next: a session that outlives its process gets another one, and nobody else its former one,
// unless the host's clock was set back. Never 0.
using SessionId = std::uint64_t;

// One address of a backend that was dialled.
struct DialAttempt {
  enum class Result : unsigned char {
    connected,
    failed,     // `error` says why
    denied,     // nobody is led there: it is where the service itself is controlled
    loop,       // not dialled: a stream of this service that the connection has passed already
    abandoned,  // the deadline, another address or an end came first
  };
  std::string address;
  Result result = Result::abandoned;
  int error = 0;  // errno, if it failed
  std::chrono::microseconds took{0};
  bool operator==(const DialAttempt&) const = default;
};

std::string_view to_string(DialAttempt::Result result);

// A session that is over. Times are since it was accepted.
struct EndedSession {
  SessionId id = 0;
  std::uint16_t port = 0;
  std::string client;
  Backend backend;      // as its stream had it when it was accepted
  std::string address;  // of the backend that was reached; empty: none was
  EndReason reason = EndReason::finished;
  SessionPhase phase = SessionPhase::accept;
  int error = 0;       // errno; 0: none is known
  std::string detail;  // a cause that is no errno, as the resolver's words or a ring; else empty
  base::WallTime accepted_at{};
  std::optional<std::chrono::microseconds> resolved_after;    // only where a name was looked up
  std::optional<std::chrono::microseconds> connected_after;   // nothing: it never was
  std::optional<std::chrono::microseconds> first_byte_after;  // the backend's first; likewise
  std::chrono::microseconds ended_after{0};
  std::uint64_t bytes_in = 0;      // from the client, taken by the backend
  std::uint64_t bytes_out = 0;     // from the backend, taken by the client
  std::vector<DialAttempt> tried;  // in the order of starting, at most kMostAttempts
};

constexpr std::size_t kMostAttempts = 8;

// Why it ended, for a person to read: `backend 10.1.0.1:2000 refused the connection (ECONNREFUSED)
// after 0.31 ms; also tried [2001:db8::1]:2000: network unreachable (ENETUNREACH)`.
std::string in_words(const EndedSession& session);
// `under 0.01 ms`, `0.31 ms`, `9.8 ms`, `41 ms`, `2.5 s`, `3 min 5 s`, `2 h 3 min`.
std::string in_words(std::chrono::microseconds duration);

struct RunningSession {
  enum class State : unsigned char { dialing, relaying };
  SessionId id = 0;
  std::uint16_t port = 0;
  State state = State::dialing;
  std::string client;
  Backend backend;
  std::string address;  // of the backend, once it is reached
  base::WallTime accepted_at{};
  std::chrono::milliseconds age{0};
  std::chrono::milliseconds idle{0};                          // since a byte was moved last
  std::optional<std::chrono::microseconds> connected_after;   // nothing: not yet
  std::optional<std::chrono::microseconds> first_byte_after;  // likewise
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  bool is_kept = false;  // it would outlive the process
};

std::string_view to_string(RunningSession::State state);

// What the dials of a stream's sessions come to.
enum class Reach : unsigned char {
  reached,
  backend,  // not reached: the backend, its name or a policy
  host,     // not reached: this host has no way to it, or lacks something
};

// What the kernel knows of a TCP socket (tcp(7), TCP_INFO; SIOCINQ; SIOCOUTQNSD).
struct SocketFacts {
  std::string local;                 // our end's address
  std::string state;                 // `established`, `close_wait`, ...
  std::chrono::microseconds rtt{0};  // smoothed
  std::chrono::microseconds rttvar{0};
  std::uint32_t retransmits = 0;        // segments, in all
  std::uint32_t lost = 0;               // segments that are taken for lost now
  std::uint32_t congestion_window = 0;  // segments
  std::uint32_t mss = 0;                // bytes
  std::uint64_t unread = 0;             // bytes that came and were not taken by us
  std::uint64_t unsent = 0;             // bytes of ours that wait to go out
  std::uint64_t unacknowledged = 0;     // bytes of ours that went out, or wait to
};

struct SessionDetails {
  RunningSession session;
  std::optional<SocketFacts> client;
  std::optional<SocketFacts> backend;  // nothing: not reached yet
  std::vector<DialAttempt> tried;
};

// Which sessions; what is not set does not matter.
struct SessionQuery {
  std::optional<std::uint16_t> port;
  std::optional<std::string> client;  // its IP, as Address::ip() prints it
  std::chrono::milliseconds min_age{0};
  std::uint64_t min_bytes = 0;      // both ways together
  std::optional<SessionId> before;  // the page's cursor: only lower ones
  std::size_t limit = 100;          // 1 to kMaxSessionPage
};

constexpr std::size_t kMaxSessionPage = 1000;

struct SessionPage {
  std::vector<RunningSession> sessions;  // the latest first
  std::optional<SessionId> before;       // of the next page; nothing: this is the last
  std::vector<std::string> silent{};     // threads that did not answer: their sessions are missing
};

// Sessions that were accepted (`dialing`) or ended, in that order.
using SessionNote = std::variant<RunningSession, EndedSession>;
struct SessionNews {
  std::vector<SessionNote> notes;
  std::uint64_t missed = 0;  // notes that were dropped
};

// The resolver's result for a backend's name, at one moment.
struct Resolution {
  std::string name;
  std::string source;                            // `dns`, `hosts`, ...; empty: no answer yet
  std::vector<std::string> addresses;            // without port, in the order of trying
  std::optional<std::chrono::milliseconds> age;  // of the addresses; nullopt: there are none
  std::optional<std::chrono::seconds> ttl;       // nullopt: they have none
  bool is_stale = false;                         // used past their TTL, as no server answers
  std::string failure;                           // of the latest look-up; empty: it did not fail
  std::optional<base::WallTime> failed_at;       // the latest look-up that failed
  std::string last_failure;                      // its cause
};

// How a backend was reached, or not.
struct CheckReport {
  bool is_reachable = false;
  EndReason reason = EndReason::finished;                   // what a session would have ended with
  std::string address;                                      // that was reached
  std::string trouble;                                      // why not, for a person to read
  std::optional<std::chrono::microseconds> resolved_after;  // only where a name was looked up
  std::vector<std::string> addresses;                       // what it was resolved to
  std::optional<Resolution> resolution;                     // nullopt: the backend is an IP literal
  std::vector<DialAttempt> tried;
  std::chrono::microseconds took{0};
};

// Which sessions get a line of the log as they end.
enum class LoggedSessions : unsigned char {
  all,
  failed,  // whose reason is neither `finished` nor `empty`
  none,
};

std::string_view to_string(LoggedSessions which);
std::optional<LoggedSessions> parse_logged_sessions(std::string_view text);

// Failures of a stream with the same reason, backend address and error.
struct FailureGroup {
  EndReason reason = EndReason::internal;
  std::string address;  // reached or dialled; `host:port` of the backend where no address was known
  int error = 0;        // errno; 0: none is known
  std::uint64_t count = 0;
  base::WallTime first{};           // when the first of them ended
  base::WallTime last{};            // when the latest of them ended
  std::vector<SessionId> sessions;  // those of them in Failures::sessions, the latest first
};

// The latest failures of a stream.
struct Failures {
  std::vector<EndedSession> sessions;  // the latest first, at most kMostFailures
  std::vector<FailureGroup> groups;    // the latest first; each has one session at least
};

constexpr std::size_t kMostFailures = 100;  // sessions of a stream

// Adds the failures of another log of the same stream.
void merge(Failures& into, Failures more);

}  // namespace sc::core
