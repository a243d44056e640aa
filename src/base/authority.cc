#include "base/authority.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>

#include "base/text.h"

namespace sc::base {
namespace {

bool is_hex(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

// RFC 3986 section 3.2.2, reg-name: unreserved, sub-delims and percent-escapes.
bool is_registered_name(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool is_alnum =
        (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (is_alnum || std::string_view("-._~!$&'()*+,;=").find(c) != std::string_view::npos) continue;
    if (c != '%' || i + 2 >= text.size() || !is_hex(text[i + 1]) || !is_hex(text[i + 2]))
      return false;
    i += 2;
  }
  return true;
}

// RFC 5952. nullopt: it is no IPv6 address.
std::optional<std::string> shortest_v6(const std::string& address) {
  in6_addr parsed{};
  std::array<char, INET6_ADDRSTRLEN> shortest{};
  if (address.find('\0') != std::string::npos ||
      ::inet_pton(AF_INET6, address.c_str(), &parsed) != 1 ||
      ::inet_ntop(AF_INET6, &parsed, shortest.data(), shortest.size()) == nullptr)
    return std::nullopt;
  return shortest.data();
}

// The shortest form, without a zone. A zone may be written as in a URL, behind `%25` (RFC 6874), or
// as everywhere else.
std::optional<std::string> canonical_v6(std::string_view text) {
  std::string plain(text);
  if (const std::size_t zone = plain.find("%25");
      !is_ip_literal(plain) && zone != std::string::npos && zone + 3 < plain.size())
    plain.erase(zone + 1, 2);
  if (!is_ip_literal(plain)) return std::nullopt;
  plain.erase(std::min(plain.find('%'), plain.size()));
  return shortest_v6(plain);
}

}  // namespace

std::variant<AuthorityParts, AuthorityFault> split_authority(std::string_view text) {
  AuthorityParts parts;
  std::string_view rest;
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos) return AuthorityFault::unclosed;
    parts.host = text.substr(1, close - 1);
    parts.is_bracketed = true;
    rest = text.substr(close + 1);
    if (!rest.empty() && rest.front() != ':') return AuthorityFault::behind_bracket;
  } else {
    const std::size_t colon = std::min(text.find(':'), text.size());
    parts.host = text.substr(0, colon);
    rest = text.substr(colon);
  }
  if (rest.empty()) return parts;
  parts.port = rest.substr(1);
  if (parts.port->find(':') != std::string_view::npos) return AuthorityFault::many_colons;
  return parts;
}

std::string comparable_host(std::string_view host) {
  const std::size_t zone = std::min(host.find('%'), host.size());
  if (const auto address = shortest_v6(std::string(host.substr(0, zone))))
    return *address + std::string(host.substr(zone));
  if (host.size() > 1 && host.back() == '.') host.remove_suffix(1);
  return to_lower(host);
}

std::optional<Authority> parse_authority(std::string_view text) {
  const auto split = split_authority(text);
  const auto* parts = std::get_if<AuthorityParts>(&split);
  if (parts == nullptr) return std::nullopt;
  Authority authority;
  if (parts->port && !parts->port->empty()) {  // `host:` has the scheme's port
    // Digits only; leading zeros change nothing here (RFC 3986 section 3.2.3).
    std::string_view digits = *parts->port;
    while (digits.size() > 1 && digits.front() == '0') digits.remove_prefix(1);
    const auto port = parse_unsigned(digits, 0, 65535);
    if (!port) return std::nullopt;
    authority.port = static_cast<std::uint16_t>(*port);
  }
  if (parts->is_bracketed) {
    auto address = canonical_v6(parts->host);
    if (!address) return std::nullopt;
    authority.kind = Authority::Kind::ipv6;
    authority.host = std::move(*address);
    return authority;
  }
  if (!is_registered_name(parts->host)) return std::nullopt;
  authority.host = to_lower(parts->host);
  if (authority.host.size() > 1 && authority.host.back() == '.') {
    authority.host.pop_back();
    if (authority.host.back() == '.') return std::nullopt;  // an empty label
  }
  // Without brackets there is no other address.
  if (is_ip_literal(authority.host)) authority.kind = Authority::Kind::ipv4;
  return authority;
}

bool names_loopback(const Authority& authority) {
  switch (authority.kind) {
    case Authority::Kind::ipv4:
      return authority.host.starts_with("127.");
    case Authority::Kind::ipv6:
      return authority.host == "::1";
    case Authority::Kind::name:
      return authority.host == "localhost" || authority.host.ends_with(".localhost");
  }
  return false;
}

}  // namespace sc::base
