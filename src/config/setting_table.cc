#include "config/setting_table.h"

#include <algorithm>
#include <array>
#include <optional>

#include "base/authority.h"
#include "base/text.h"
#include "config/group.h"

namespace sc::config {
namespace {

using std::chrono::milliseconds;

constexpr std::int64_t kSecond = 1000;  // in milliseconds, as are all below
constexpr std::int64_t kMinute = 60 * kSecond;
constexpr std::int64_t kHour = 60 * kMinute;
constexpr std::int64_t kDay = 24 * kHour;
// TCP_KEEPIDLE is at most MAX_TCP_KEEPIDLE of the kernel's tcp.h, in whole seconds.
constexpr std::int64_t kMaxKeepalive = 32767 * kSecond;
// Each worker is a thread with a loop, so more than this is a slip of the hand.
constexpr unsigned kMaxWorkers = 256;
// More than descriptors can be had for (fs.nr_open).
constexpr std::uint32_t kMaxSessions = 10'000'000;

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7f;
  });
}

// 0 where it is allowed, else from `Least` to `Most` in steps of `Step`, all in milliseconds.
template <milliseconds Settings::*Member, bool ZeroToo, std::int64_t Least, std::int64_t Most,
          std::int64_t Step = 1>
bool parse_duration(std::string_view text, Settings& into) {
  const auto value = base::parse_duration(text);
  if (!value) return false;
  const std::int64_t count = value->count();
  const bool allowed = count == 0 ? ZeroToo : count >= Least && count <= Most && count % Step == 0;
  if (allowed) into.*Member = *value;
  return allowed;
}

template <milliseconds Settings::*Member>
std::string print_duration(const Settings& from) {
  return base::format_duration(from.*Member);
}

bool parse_port_range(std::string_view text, Settings& into) {
  auto ranges = core::PortRanges::parse(text);
  if (!ranges) return false;
  into.port_range = std::move(*ranges);
  return true;
}

bool parse_bind_address(std::string_view text, Settings& into) {
  if (!base::is_ip_literal(text) || base::is_group_address(text)) return false;
  into.bind_address = text;
  return true;
}

bool parse_bind_port(std::string_view text, Settings& into) {
  const auto port = base::parse_unsigned(text, 0, 65535);
  if (!port) return false;
  into.bind_port = static_cast<std::uint16_t>(*port);
  return true;
}

bool parse_stream_address(std::string_view text, Settings& into) {
  if (!text.empty() && (!base::is_ip_literal(text) || base::is_group_address(text))) return false;
  into.stream_address = text;
  return true;
}

bool parse_state_directory(std::string_view text, Settings& into) {
  if (text.empty() || text.front() != '/' || has_control(text)) return false;
  into.state_directory = text;
  return true;
}

// systemd.exec(5): with several StateDirectory= the paths are separated by `:`.
std::string_view first_path(std::string_view value) { return value.substr(0, value.find(':')); }

constexpr milliseconds kMostHistory = std::chrono::days(36500);

bool parse_history_keep(std::string_view text, Settings& into) {
  const auto value = base::parse_duration(text, kMostHistory);
  if (text != "forever" && (!value || *value < std::chrono::hours(1))) return false;
  into.history_keep = value.value_or(milliseconds{0});
  return true;
}

std::string print_history_keep(const Settings& from) {
  return from.history_keep.count() == 0 ? "forever" : base::format_duration(from.history_keep);
}

bool parse_workers(std::string_view text, Settings& into) {
  const auto count = base::parse_unsigned(text, 1, kMaxWorkers);
  if (!count && text != "auto") return false;
  into.workers = static_cast<unsigned>(count.value_or(0));
  return true;
}

// The word for 0 has a meaning of its own in each.
template <std::uint32_t Settings::*Member>
bool parse_sessions(std::string_view text, std::string_view word_for_zero, Settings& into) {
  const auto count = base::parse_unsigned(text, 1, kMaxSessions);
  if (!count && text != word_for_zero) return false;
  into.*Member = static_cast<std::uint32_t>(count.value_or(0));
  return true;
}

std::string print_sessions(std::uint32_t count, std::string_view word_for_zero) {
  return count == 0 ? std::string(word_for_zero) : std::to_string(count);
}

bool parse_log_level(std::string_view text, Settings& into) {
  const auto level = base::log::parse_level(text);
  if (!level) return false;
  into.log_level = *level;
  return true;
}

bool parse_log_format(std::string_view text, Settings& into) {
  const auto format = base::log::parse_format(text);
  if (!format) return false;
  into.log_format = *format;
  return true;
}

bool parse_log_sessions(std::string_view text, Settings& into) {
  const auto which = core::parse_logged_sessions(text);
  if (!which) return false;
  into.log_sessions = *which;
  return true;
}

bool parse_api_auth(std::string_view text, Settings& into) {
  for (const ApiAuth auth : {ApiAuth::remote, ApiAuth::always, ApiAuth::off}) {
    if (text != to_string(auth)) continue;
    into.api_auth = auth;
    return true;
  }
  return false;
}

bool parse_resolver(std::string_view text, Settings& into) {
  for (const Resolver resolver : {Resolver::dns, Resolver::system}) {
    if (text != to_string(resolver)) continue;
    into.resolver = resolver;
    return true;
  }
  return false;
}

// A name that stands in a Host header, or an address without brackets.
bool is_host(std::string_view text) {
  return base::is_ip_literal(text) || (text.find(':') == std::string_view::npos &&
                                       base::parse_host_port(std::string(text) + ":1").has_value());
}

bool parse_api_hosts(std::string_view text, Settings& into) {
  std::vector<std::string> hosts;
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    const std::string_view host = text.substr(0, comma);
    if (!is_host(host)) return false;
    // No request names a zone, see base::Authority.
    hosts.push_back(base::comparable_host(host.substr(0, host.find('%'))));
    if (comma == text.size() - 1) return false;
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
  }
  into.api_hosts = std::move(hosts);
  return true;
}

std::string print_api_hosts(const Settings& from) {
  std::string out;
  for (const std::string& host : from.api_hosts) out += (out.empty() ? "" : ",") + host;
  return out;
}

bool parse_api_admin_group(std::string_view text, Settings& into) {
  if (!text.empty() && !find_group(std::string(text))) return false;
  into.api_admin_group = text;
  return true;
}

bool parse_insecure(std::string_view text, Settings& into) {
  if (text != "true" && text != "false") return false;
  into.insecure = text == "true";
  return true;
}

constexpr std::array<Setting, 25> kTable{{
    {"port_range", "PORTS",
     "ports and inclusive ranges from 1 to 65535, separated by commas, as in "
     "9000-9009,10000-10999",
     "the ports that streams may have", parse_port_range,
     [](const Settings& from) { return from.port_range.to_string(); }},
    {"bind_address", "IP", "an IPv4 or IPv6 address, as in 127.0.0.1 or ::1",
     "the address of the API", parse_bind_address,
     [](const Settings& from) { return from.bind_address; }},
    {"bind_port", "PORT", "a number from 0 to 65535; 0 picks a free port and logs it",
     "the port of the API", parse_bind_port,
     [](const Settings& from) { return std::to_string(from.bind_port); }},
    {"stream_address", "IP", "an IPv4 or IPv6 address; empty for all addresses",
     "the address that streams listen on", parse_stream_address,
     [](const Settings& from) { return from.stream_address; }},
    {"state_directory", "DIR", "an absolute path without control characters",
     "the folder of the database, stream-conductor.db", parse_state_directory,
     [](const Settings& from) { return from.state_directory; }, first_path},
    {"history_keep", "DURATION", "forever, or a duration from 1h to 36500d, as in 90d or 400d",
     "how long the history of streams is kept", parse_history_keep, print_history_keep},
    {"workers", "COUNT", "auto, which is one for each core, or a number from 1 to 256",
     "the threads that carry the bytes", parse_workers,
     [](const Settings& from) {
       return from.workers == 0 ? std::string("auto") : std::to_string(from.workers);
     }},
    {"max_sessions", "COUNT",
     "auto, which is as many as there are descriptors for, or a number from 1 to 10000000",
     "sessions of all streams together; more clients wait",
     [](std::string_view text, Settings& into) {
       return parse_sessions<&Settings::max_sessions>(text, "auto", into);
     },
     [](const Settings& from) { return print_sessions(from.max_sessions, "auto"); }},
    {"max_sessions_per_stream", "COUNT", "none, or a number from 1 to 10000000",
     "sessions of one stream; more of its clients wait",
     [](std::string_view text, Settings& into) {
       return parse_sessions<&Settings::max_sessions_per_stream>(text, "none", into);
     },
     [](const Settings& from) { return print_sessions(from.max_sessions_per_stream, "none"); }},
    {"connect_timeout", "DURATION", "a duration from 100ms to 5m, as in 250ms or 5s",
     "how long a backend may take to answer a connect",
     parse_duration<&Settings::connect_timeout, false, 100, 5 * kMinute>,
     print_duration<&Settings::connect_timeout>},
    {"resolver", "WHICH",
     "dns, which is the hosts file and DNS, or system, which is getaddrinfo with the modules of "
     "nsswitch.conf",
     "what resolves the names of backends", parse_resolver,
     [](const Settings& from) { return std::string(to_string(from.resolver)); }},
    {"resolve_timeout", "DURATION", "a duration from 100ms to 5m, as in 500ms or 5s",
     "how long the look-up of a backend's name may take",
     parse_duration<&Settings::resolve_timeout, false, 100, 5 * kMinute>,
     print_duration<&Settings::resolve_timeout>},
    {"resolve_stale", "DURATION", "0 for never, or a duration from 1s to 30d, as in 10m or 1h",
     "how long addresses stay in use after their TTL while no DNS server answers",
     parse_duration<&Settings::resolve_stale, true, kSecond, 30 * kDay>,
     print_duration<&Settings::resolve_stale>},
    {"idle_timeout", "DURATION", "0 for none, or a duration from 1s to 30d, as in 90s or 2h",
     "ends sessions that carried nothing for so long",
     parse_duration<&Settings::idle_timeout, true, kSecond, 30 * kDay>,
     print_duration<&Settings::idle_timeout>},
    {"session_lifetime", "DURATION", "0 for none, or a duration from 1s to 365d, as in 90s or 12h",
     "ends sessions that are older, whatever they carry",
     parse_duration<&Settings::session_lifetime, true, kSecond, 365 * kDay>,
     print_duration<&Settings::session_lifetime>},
    {"keepalive", "DURATION", "0 for off, or whole seconds from 1s to 32767s, as in 60s or 5m",
     "the silence after which TCP asks whether a peer is still there",
     parse_duration<&Settings::keepalive, true, kSecond, kMaxKeepalive, kSecond>,
     print_duration<&Settings::keepalive>},
    {"drain_timeout", "DURATION", "a duration from 0 to 1d, as in 0, 10s or 5m",
     "how long sessions may go on after their stream is removed, in a drain, or at a stop without "
     "a store",
     parse_duration<&Settings::drain_timeout, true, 1, kDay>,
     print_duration<&Settings::drain_timeout>},
    {"durable_after", "DURATION", "a duration from 0 to 1h, as in 0, 250ms or 1s",
     "the age from which sessions outlive the process",
     parse_duration<&Settings::durable_after, true, 1, kHour>,
     print_duration<&Settings::durable_after>},
    {"log_level", "LEVEL", "debug, info, warning or error", "log lines below this are dropped",
     parse_log_level,
     [](const Settings& from) { return std::string(base::log::to_string(from.log_level)); }},
    {"log_format", "FORMAT", "text or json", "how lines read on stderr, not in the journal",
     parse_log_format,
     [](const Settings& from) { return std::string(base::log::to_string(from.log_format)); }},
    {"log_sessions", "WHICH",
     "all, failed, which is all whose reason is neither finished nor empty, or none",
     "which sessions have a log line when they end", parse_log_sessions,
     [](const Settings& from) { return std::string(core::to_string(from.log_sessions)); }},
    {"api_auth", "WHO",
     "remote, which is everybody who is not on this host, always, which is everybody but peers of "
     "the unix socket, or off, which is nobody",
     "who needs a token to use the API", parse_api_auth,
     [](const Settings& from) { return std::string(to_string(from.api_auth)); }},
    {"api_hosts", "NAMES", "host names or IP addresses, separated by commas; empty for none",
     "further names that the API is asked by", parse_api_hosts, print_api_hosts},
    {"api_admin_group", "GROUP",
     "the name or number of a group of this host; empty for whoever can connect",
     "who is admin by the unix socket; others only read", parse_api_admin_group,
     [](const Settings& from) { return from.api_admin_group; }},
    {"insecure", "YES", "true or false",
     "lets api_auth=off go with an address that other hosts reach", parse_insecure,
     [](const Settings& from) { return std::string(from.insecure ? "true" : "false"); }, nullptr,
     true},
}};

// Numbers as they are, all else as a TOML basic string.
std::string to_toml(std::string_view value) {
  if (base::parse_unsigned(value, 0, UINT32_MAX)) return std::string(value);
  std::string out = "\"";
  for (const char c : value) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

std::vector<ShownSetting> all(const Settings& settings, const Sources& sources) {
  std::vector<ShownSetting> out;
  for (const Setting& setting : kTable) {
    const auto source = sources.find(setting.key);
    out.push_back({std::string(setting.key), setting.print(settings),
                   source == sources.end() ? "default" : source->second});
  }
  return out;
}

}  // namespace

std::span<const Setting> setting_table() { return kTable; }

const Setting* find_setting(std::string_view key) {
  const auto found = std::find_if(kTable.begin(), kTable.end(),
                                  [&](const Setting& setting) { return setting.key == key; });
  return found == kTable.end() ? nullptr : &*found;
}

std::string environment_name(const Setting& setting) { return base::to_upper(setting.key); }

std::string flag_name(const Setting& setting) {
  std::string name = "--" + std::string(setting.key);
  std::replace(name.begin(), name.end(), '_', '-');
  return name;
}

std::vector<ShownSetting> differing(const Settings& settings, const Sources& sources) {
  const std::vector<ShownSetting> defaults = all({}, {});
  std::vector<ShownSetting> shown = all(settings, sources);
  std::vector<ShownSetting> out;
  for (std::size_t i = 0; i < shown.size(); ++i)
    if (shown[i].value != defaults[i].value) out.push_back(std::move(shown[i]));
  return out;
}

std::string print_config(const Settings& settings, const Sources& sources) {
  std::string out;
  for (const ShownSetting& shown : all(settings, sources))
    out += shown.key + " = " + to_toml(shown.value) + "  # " + shown.source + "\n";
  return out;
}

}  // namespace sc::config
