#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

// Strict parsing: the whole text must be the thing, with no sign, space or leading `+`.
namespace sc::base {

// Decimal digits only, no value outside [least, most]. Leading zeros are refused, because other
// programs read them as octal.
std::optional<std::uint64_t> parse_unsigned(std::string_view text, std::uint64_t least,
                                            std::uint64_t most);

// 1 to 65535.
std::optional<std::uint16_t> parse_port(std::string_view text);

// `0`, or digits with a unit: `250ms`, `5s`, `10m`, `2h`, `1d`. nullopt for more than `most`.
std::optional<std::chrono::milliseconds> parse_duration(
    std::string_view text, std::chrono::milliseconds most = std::chrono::days(365));

// The shortest form that parse_duration reads back as the same: 1500 ms is `1500ms`, 60 s is `1m`.
std::string format_duration(std::chrono::milliseconds duration);

// RFC 3986 section 2.1. Nothing when a `%` is not followed by two hex digits or stands for NUL.
std::optional<std::string> percent_decode(std::string_view text);

// A host and a port, the host without brackets.
struct HostPort {
  std::string host;
  std::uint16_t port = 0;
  bool operator==(const HostPort&) const = default;
};

// `name:port`, `1.2.3.4:port` or `[v6]:port`; a link-local IPv6 address has a zone, as in
// `[fe80::1%eth0]:port`. A name: letters, digits, `-`, `_` and `.`, at most
// 253 characters, labels of 1 to 63 (RFC 1035; `_` is accepted because container networks use it).
// A name whose last label is a number, decimal or 0x hexadecimal, must be a dotted quad, as
// inet_aton would read it otherwise.
Result<HostPort> parse_host_port(std::string_view text);

// `[v6]:port` or `host:port`.
std::string to_string(const HostPort& value);

// Returns whether the text is an IPv4 dotted quad or an IPv6 address (RFC 4291). A link-local one
// may have a zone (RFC 4007 section 11), the name of an interface, which need not exist.
bool is_ip_literal(std::string_view text);
// Returns whether it is a link-local IPv6 address without a zone, which names no interface.
bool lacks_zone(std::string_view text);

// Returns whether it is an address of many hosts, also mapped into IPv6: multicast (RFC 5771,
// RFC 4291 section 2.7) or 255.255.255.255. TCP has no such connections.
bool is_group_address(std::string_view text);

// For messages and logs: in double quotes, what is not printable ASCII as \xNN, cut at 200 bytes.
std::string quoted(std::string_view text);

// ASCII only, whatever the locale.
std::string to_lower(std::string_view text);
std::string to_upper(std::string_view text);

}  // namespace sc::base
