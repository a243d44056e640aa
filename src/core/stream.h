#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "base/text.h"
#include "core/end_reason.h"
#include "core/port_range.h"

namespace sc::core {

// Where a stream leads: a name or IP literal and a port, as parse_host_port takes them.
using Backend = base::HostPort;

// From when on a session outlives the process that carries it.
enum class Durability : unsigned char {
  off,          // never: it ends with the process
  established,  // once its backend is reached and it is older than DURABLE_AFTER
  early,        // from the moment its client is accepted
};

std::string_view to_string(Durability durability);
std::optional<Durability> parse_durability(std::string_view text);

// When a stream ends whose caller gave a duration (`ttl`): when that time has passed, whatever the
// host's clock is set to meanwhile. It is not compared, stored or shown, as expires_at is the same
// moment as a date.
struct SteadyEnd {
  std::optional<base::Instant> at;  // nullopt: expires_at counts
  bool operator==(const SteadyEnd& /*other*/) const { return true; }
};

// What an operator asks for. A value.
struct StreamSpec {
  std::uint16_t port = 0;  // listens here, 1 to 65535; what names the stream
  Backend backend;
  std::string listen_address;                // an IP literal; empty: as the service is set
  std::string label;                         // what lists are filtered by, at most kMaxLabel bytes
  std::string note;                          // for people, at most kMaxNote bytes
  std::string owner;                         // whom to ask about it, at most kMaxLabel bytes
  bool enabled = true;                       // else it is kept, but its port stays closed
  std::optional<base::WallTime> expires_at;  // it is removed then; nothing: never
  std::uint32_t max_sessions = 0;            // more clients wait; 0: as the service is set
  std::optional<std::chrono::milliseconds> connect_timeout;  // nothing: as the service is set
  std::optional<std::chrono::milliseconds> idle_timeout;     // 0: none; nothing: likewise
  std::optional<std::chrono::milliseconds> lifetime;         // of a session; 0, nothing: likewise
  Durability durable = Durability::established;
  SteadyEnd ends_after;
  bool operator==(const StreamSpec&) const = default;
};

constexpr std::size_t kMaxLabel = 64;
constexpr std::size_t kMaxNote = 1024;
constexpr std::uint32_t kMaxSessionsOfStream = 10'000'000;
constexpr std::chrono::milliseconds kLeastConnectTimeout{100};
constexpr std::chrono::milliseconds kMostConnectTimeout = std::chrono::minutes(5);
constexpr std::chrono::milliseconds kLeastIdleTimeout = std::chrono::seconds(1);
constexpr std::chrono::milliseconds kMostIdleTimeout = std::chrono::days(30);
constexpr std::chrono::milliseconds kLeastLifetime = std::chrono::seconds(1);
constexpr std::chrono::milliseconds kMostLifetime = std::chrono::days(365);

// A change of some of a stream's fields: what is not set stays as it is. A value.
struct StreamPatch {
  std::optional<Backend> backend;
  std::optional<std::string> listen_address;
  std::optional<std::string> label;
  std::optional<std::string> note;
  std::optional<std::string> owner;
  std::optional<bool> enabled;
  std::optional<std::optional<base::WallTime>> expires_at;
  std::optional<std::uint32_t> max_sessions;
  std::optional<std::optional<std::chrono::milliseconds>> connect_timeout;
  std::optional<std::optional<std::chrono::milliseconds>> idle_timeout;
  std::optional<std::optional<std::chrono::milliseconds>> lifetime;
  std::optional<Durability> durable;
  SteadyEnd ends_after;  // with expires_at
  bool operator==(const StreamPatch&) const = default;

  StreamSpec applied_to(StreamSpec spec) const;
};

enum class StreamState : unsigned char {
  listening,  // its port accepts clients
  failed,     // its port could not be opened; tried again with back-off
  draining,   // removed or disabled, and some of its sessions still run; or the service drains
  disabled,   // its port is closed because somebody asked for that
};

std::string_view to_string(StreamState state);
std::optional<StreamState> parse_stream_state(std::string_view text);

// A stream as it is: what was asked for and how it fares.
struct Stream {
  StreamSpec spec;
  StreamState state = StreamState::listening;
  // Why it is `failed`; or, while it listens, why its latest session did not reach the backend.
  // Else empty.
  std::string reason;
  base::WallTime created_at{};
  base::WallTime updated_at{};  // when the spec or the state changed last
  std::string created_by;       // the actor's name
  std::int64_t revision = 1;    // counts the spec's changes, see next_revision()
  bool operator==(const Stream&) const = default;
};

using StreamMap = std::map<std::uint16_t, Stream>;  // by port

// What a stream has carried since it was created, whichever process carried it.
struct Traffic {
  std::uint64_t sessions_active = 0;
  std::uint64_t sessions_total = 0;
  std::uint64_t bytes_in = 0;                      // from clients, taken by the backend
  std::uint64_t bytes_out = 0;                     // from the backend, taken by clients
  std::array<std::uint64_t, kEndReasons> ended{};  // sessions, by EndReason
  bool operator==(const Traffic&) const = default;
  Traffic& operator+=(const Traffic& other);
};

// From the texts of a request. invalid: says what is wrong with which.
base::Result<StreamSpec> make_spec(std::string_view port, std::string_view backend);

// May a stream be so? invalid: all wrong fields (as JSON pointers), each with what it may be. That
// the port is in range, expires_at ahead and listen_address this host's is asked of new values
// alone: see check_fields().
base::Result<void> validate(const StreamSpec& spec);
// Returns whether the stream comes to listen at its listen_address: the stream is new, the address
// differs from that of `present`, or the stream becomes enabled. `present`: what is there, or null.
bool is_new_listener(const StreamSpec& spec, const StreamSpec* present);

// The checks below judge only what differs from `present`, so that a row of a former version can be
// changed, and an exported list applied. They are not part of validate(), which judges rows too.

// Refuses link-local IPv6 addresses without a zone.
base::Result<void> check_zones(const StreamSpec& spec, const StreamSpec* present = nullptr);
// Refuses multicast addresses and 255.255.255.255, at which the kernel lets TCP listen, but no
// client can connect.
base::Result<void> check_groups(const StreamSpec& spec, const StreamSpec* present = nullptr);

// May a new stream have this port? invalid: names the ranges.
base::Result<void> check_in_range(std::uint16_t port, const PortRanges& ranges);

// The fields in which they differ, as the API names them: `backend, label`; empty: none.
std::string differing_fields(const StreamSpec& one, const StreamSpec& other);

}  // namespace sc::core
