#include "core/stream.h"

#include <algorithm>
#include <array>

#include "core/same_host.h"

namespace sc::core {
namespace {

constexpr std::array<std::string_view, 4> kStates{"listening", "failed", "draining", "disabled"};
constexpr std::array<std::string_view, 3> kDurabilities{"off", "established", "early"};

constexpr std::string_view kLacksZone =
    " is a link-local address without a zone: name the interface, as in ";

constexpr std::string_view kIsGroup =
    " is a multicast or broadcast address, which TCP cannot connect to: ";

base::Error wrong(std::string_view field, std::string why) {
  return {base::Errc::invalid, std::string(field) + " " + std::move(why), "/" + std::string(field)};
}

std::optional<base::Error> check_text(std::string_view field, const std::string& text,
                                      std::size_t most, bool line_ends) {
  const bool has_control = std::any_of(text.begin(), text.end(), [&](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte == 0x7f || (byte < 0x20 && !(line_ends && (c == '\n' || c == '\t')));
  });
  if (has_control) return wrong(field, "has control characters");
  if (text.size() > most)
    return wrong(field, "is longer than " + std::to_string(most) + " bytes of UTF-8");
  return std::nullopt;
}

bool is_new_backend(const StreamSpec& spec, const StreamSpec* present) {
  return present == nullptr || !is_same_backend(spec.backend, present->backend);
}

}  // namespace

StreamSpec StreamPatch::applied_to(StreamSpec spec) const {
  if (backend) spec.backend = *backend;
  if (listen_address) spec.listen_address = *listen_address;
  if (label) spec.label = *label;
  if (note) spec.note = *note;
  if (owner) spec.owner = *owner;
  if (enabled) spec.enabled = *enabled;
  if (expires_at) {
    spec.expires_at = *expires_at;
    spec.ends_after = ends_after;
  }
  if (max_sessions) spec.max_sessions = *max_sessions;
  if (connect_timeout) spec.connect_timeout = *connect_timeout;
  if (idle_timeout) spec.idle_timeout = *idle_timeout;
  if (lifetime) spec.lifetime = *lifetime;
  if (durable) spec.durable = *durable;
  return spec;
}

std::string_view to_string(Durability durability) {
  return kDurabilities.at(static_cast<std::size_t>(durability));
}

std::optional<Durability> parse_durability(std::string_view text) {
  for (std::size_t i = 0; i < kDurabilities.size(); ++i)
    if (kDurabilities.at(i) == text) return static_cast<Durability>(i);
  return std::nullopt;
}

std::string_view to_string(StreamState state) {
  return kStates.at(static_cast<std::size_t>(state));
}

std::optional<StreamState> parse_stream_state(std::string_view text) {
  for (std::size_t i = 0; i < kStates.size(); ++i)
    if (kStates.at(i) == text) return static_cast<StreamState>(i);
  return std::nullopt;
}

Traffic& Traffic::operator+=(const Traffic& other) {
  sessions_active += other.sessions_active;
  sessions_total += other.sessions_total;
  bytes_in += other.bytes_in;
  bytes_out += other.bytes_out;
  for (std::size_t i = 0; i < ended.size(); ++i) ended.at(i) += other.ended.at(i);
  return *this;
}

base::Result<StreamSpec> make_spec(std::string_view port, std::string_view backend) {
  const auto number = base::parse_port(port);
  if (!number)
    return base::Error{base::Errc::invalid,
                       base::quoted(port) + " is not a port: a number from 1 to 65535", "/port"};
  auto parsed = base::parse_host_port(backend);
  if (!parsed) return base::Error{parsed.error().code, parsed.error().message, "/backend"};
  StreamSpec spec;
  spec.port = *number;
  spec.backend = std::move(*parsed);
  return spec;
}

base::Result<void> validate(const StreamSpec& spec) {
  base::Faults faults;
  if (!spec.listen_address.empty() && !base::is_ip_literal(spec.listen_address))
    faults.add(wrong("listen_address", base::quoted(spec.listen_address) +
                                           " is no IPv4 or IPv6 address, as in 127.0.0.1 or ::1"));
  if (auto bad = check_text("label", spec.label, kMaxLabel, false)) faults.add(*std::move(bad));
  if (auto bad = check_text("note", spec.note, kMaxNote, true)) faults.add(*std::move(bad));
  if (auto bad = check_text("owner", spec.owner, kMaxLabel, false)) faults.add(*std::move(bad));
  if (spec.max_sessions > kMaxSessionsOfStream)
    faults.add(wrong("max_sessions", "is not a number from 1 to 10000000"));
  if (spec.connect_timeout &&
      (*spec.connect_timeout < kLeastConnectTimeout || *spec.connect_timeout > kMostConnectTimeout))
    faults.add(wrong("connect_timeout", "is not a duration from 100ms to 5m"));
  if (spec.idle_timeout && spec.idle_timeout->count() != 0 &&
      (*spec.idle_timeout < kLeastIdleTimeout || *spec.idle_timeout > kMostIdleTimeout))
    faults.add(wrong("idle_timeout", "is neither 0 for none nor a duration from 1s to 30d"));
  if (spec.lifetime && spec.lifetime->count() != 0 &&
      (*spec.lifetime < kLeastLifetime || *spec.lifetime > kMostLifetime))
    faults.add(wrong("lifetime", "is neither 0 for none nor a duration from 1s to 365d"));
  return std::move(faults).result();
}

bool is_new_listener(const StreamSpec& spec, const StreamSpec* present) {
  return present == nullptr || (spec.enabled && !present->enabled) ||
         !is_same_host(spec.listen_address, present->listen_address);
}

base::Result<void> check_zones(const StreamSpec& spec, const StreamSpec* present) {
  base::Faults faults;
  if (is_new_listener(spec, present) && base::lacks_zone(spec.listen_address))
    faults.add(wrong("listen_address", base::quoted(spec.listen_address) + std::string(kLacksZone) +
                                           spec.listen_address + "%eth0"));
  if (is_new_backend(spec, present) && base::lacks_zone(spec.backend.host))
    faults.add(
        wrong("backend", base::quoted(base::to_string(spec.backend)) + std::string(kLacksZone) +
                             base::to_string({spec.backend.host + "%eth0", spec.backend.port})));
  return std::move(faults).result();
}

base::Result<void> check_groups(const StreamSpec& spec, const StreamSpec* present) {
  base::Faults faults;
  if (is_new_listener(spec, present) && base::is_group_address(spec.listen_address))
    faults.add(wrong("listen_address", base::quoted(spec.listen_address) + std::string(kIsGroup) +
                                           "give an address of this host"));
  if (is_new_backend(spec, present) && base::is_group_address(spec.backend.host))
    faults.add(wrong("backend", base::quoted(base::to_string(spec.backend)) +
                                    std::string(kIsGroup) + "give the address of one host"));
  return std::move(faults).result();
}

base::Result<void> check_in_range(std::uint16_t port, const PortRanges& ranges) {
  if (ranges.contains(port)) return {};
  return base::Error{base::Errc::invalid,
                     "port " + std::to_string(port) + " is outside of the range for streams, " +
                         ranges.to_string(),
                     "/port"};
}

std::string differing_fields(const StreamSpec& one, const StreamSpec& other) {
  std::string fields;
  const auto add = [&](std::string_view field, bool differs) {
    if (differs) fields.append(fields.empty() ? "" : ", ").append(field);
  };
  add("backend", one.backend != other.backend);
  add("listen_address", one.listen_address != other.listen_address);
  add("label", one.label != other.label);
  add("note", one.note != other.note);
  add("owner", one.owner != other.owner);
  add("enabled", one.enabled != other.enabled);
  add("expires_at", one.expires_at != other.expires_at);
  add("max_sessions", one.max_sessions != other.max_sessions);
  add("connect_timeout", one.connect_timeout != other.connect_timeout);
  add("idle_timeout", one.idle_timeout != other.idle_timeout);
  add("lifetime", one.lifetime != other.lifetime);
  add("durable", one.durable != other.durable);
  return fields;
}

}  // namespace sc::core
