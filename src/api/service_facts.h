#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "core/actor.h"
#include "core/health.h"

namespace sc::api {

// What the service knows of itself beyond its streams, at the moment of asking. A value.
struct ServiceFacts {
  enum class Phase : unsigned char {
    starting,  // streams are being opened
    serving,
    draining,  // no new clients; sessions have time to end
    drained,   // there are none any more, and it waits to be stopped
  };

  std::string version;
  Phase phase = Phase::serving;
  std::optional<base::WallTime> drain_until;  // when what still runs is cut; nothing: no drain
  base::WallTime started_at{};
  std::chrono::seconds uptime{0};
  std::uint64_t sessions_active = 0;  // of all streams, those of removed ones too
  std::uint64_t workers = 0;
  // What it may have at most, and, of the API, has now. Nothing: no limit.
  std::optional<std::uint64_t> max_sessions;
  std::optional<std::uint64_t> max_sessions_per_stream;
  std::optional<std::uint64_t> descriptors;  // for streams and their sessions
  // Places that are reserved for streams with few sessions. nullopt: sessions have no limit.
  std::optional<std::uint64_t> reserved_sessions;
  // Of sessions that outlive the process.
  struct Durability {
    bool available = false;
    std::string reason;          // why it is not, in words; empty if it is
    std::uint64_t sessions = 0;  // kept now
    // Sessions that should have been kept and were not, since the start, by cause.
    std::vector<std::pair<std::string_view, std::uint64_t>> not_durable;
  };
  Durability durability;
  std::vector<core::Condition>
      conditions;  // what is wrong with the service itself; see core/health.h
  std::uint64_t api_clients = 0;
  std::uint64_t max_api_clients = 0;
};

// Whether /readyz may answer 200, as far as the service itself is concerned.
bool is_ready(const ServiceFacts& facts);

using FactsSource = std::function<ServiceFacts()>;

// Somebody asks for a drain. Nothing: as the service is set.
using Drainer =
    std::function<void(std::optional<std::chrono::milliseconds> timeout, const core::Actor& actor)>;

std::string_view to_string(ServiceFacts::Phase phase);

}  // namespace sc::api
