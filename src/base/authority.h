#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace sc::base {

// `host:port` as it is split, before either is looked at: the one place that knows how brackets and
// colons divide them (RFC 3986 section 3.2).
struct AuthorityParts {
  std::string_view host;  // without brackets
  bool is_bracketed = false;
  std::optional<std::string_view> port;  // behind the colon, may be empty; nullopt: no colon
};
enum class AuthorityFault : unsigned char {
  unclosed,        // `[` without `]`
  behind_bracket,  // something else than a colon behind `]`
  many_colons,     // an IPv6 address without brackets, or a second port
};
std::variant<AuthorityParts, AuthorityFault> split_authority(std::string_view text);

// The authority of an http URL, and what a Host header holds (RFC 9110 sections 4.2.1 and 7.2).
struct Authority {
  enum class Kind : unsigned char { name, ipv4, ipv6 };
  Kind kind = Kind::name;
  // In lower case. A name is without the root's dot at its end, an IPv6 address in its shortest
  // form, without brackets and zone. May be empty: HTTP allows a Host that names none.
  std::string host;
  std::optional<std::uint16_t> port;
  bool operator==(const Authority&) const = default;
};

// A host as it compares with others: in lower case, without the root's dot at its end, an IPv6
// address in its shortest form (RFC 5952) with its zone as it stands. Without brackets.
std::string comparable_host(std::string_view host);

// Strict: the whole text has to be one. nullopt for user information, a port that is no number up
// to 65535, brackets around anything but an IPv6 address, and characters or percent-escapes that a
// name cannot have.
std::optional<Authority> parse_authority(std::string_view text);

// Returns whether the authority names this host alone on every host that resolves it: `localhost`,
// a name below it (RFC 6761 section 6.3), 127.0.0.0/8 or `::1`.
bool names_loopback(const Authority& authority);

}  // namespace sc::base
