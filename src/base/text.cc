#include "base/text.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <variant>

#include "base/authority.h"

namespace sc::base {
namespace {

constexpr std::size_t kMaxName = 253;  // RFC 1035 section 2.3.4, without the root's dot
constexpr std::size_t kMaxLabel = 63;  // RFC 1035 section 2.3.4
constexpr std::size_t kMaxQuoted = 200;

struct Unit {
  std::string_view name;
  std::uint64_t millis;
};
constexpr std::array<Unit, 5> kUnits{
    {{"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}}};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_name_char(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
}

int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// inet_aton(3), which getaddrinfo asks first, reads a last label of this kind as part of an IPv4
// address: decimal, octal or hexadecimal.
bool is_number(std::string_view label) {
  if (label.size() > 2 && label[0] == '0' && (label[1] == 'x' || label[1] == 'X')) {
    label.remove_prefix(2);
    return std::all_of(label.begin(), label.end(), [](char c) { return hex_value(c) >= 0; });
  }
  return std::all_of(label.begin(), label.end(), is_digit);
}

bool is_address(int family, std::string_view text) {
  std::array<unsigned char, 16> parsed{};
  return text.find('\0') == std::string_view::npos &&
         ::inet_pton(family, std::string(text).c_str(), parsed.data()) == 1;
}

// fe80::/10 (RFC 4291 section 2.5.6).
bool is_link_local(std::string_view text) {
  std::array<unsigned char, 16> parsed{};
  return text.find('\0') == std::string_view::npos &&
         ::inet_pton(AF_INET6, std::string(text).c_str(), parsed.data()) == 1 &&
         parsed[0] == 0xfe && (parsed[1] & 0xc0) == 0x80;
}

// The name of an interface (dev_valid_name() of Linux), without what brackets and URLs are made of.
bool is_zone(std::string_view text) {
  constexpr std::size_t kMost = 15;  // IFNAMSIZ less its NUL
  // `%25eth0` is how RFC 6874 writes a zone in a URL, and this is none.
  const bool is_url = text.size() > 2 && text.starts_with("25") && !is_digit(text[2]);
  return !text.empty() && text.size() <= kMost && text != "." && text != ".." && !is_url &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return c > ' ' && c < 0x7f &&
                  std::string_view("/[]%\"'\\").find(c) == std::string_view::npos;
         });
}

Error bad_backend(std::string_view text, std::string_view why) {
  return {Errc::invalid, quoted(text) + " is not host:port: " + std::string(why)};
}

// Why the text is no name, or nothing when it is one.
std::optional<std::string> name_fault(std::string_view name) {
  if (name.empty()) return "the host is empty";
  if (name.back() == '.') name.remove_suffix(1);
  if (name.size() > kMaxName) return "the host name is longer than 253 characters";
  std::string_view rest = name;
  while (true) {
    const std::size_t dot = rest.find('.');
    const std::string_view label = rest.substr(0, dot);
    if (label.empty() || label.size() > kMaxLabel)
      return "each part of the host name has 1 to 63 characters";
    if (!std::all_of(label.begin(), label.end(), is_name_char))
      return "a host name has letters, digits, '-', '_' and '.' only";
    if (dot == std::string_view::npos) {
      if (is_number(label)) return "a host that ends in a number must be an IPv4 address";
      return std::nullopt;
    }
    rest.remove_prefix(dot + 1);
  }
}

// Why a text without brackets may not have several colons.
const char* fault_of_colons(std::string_view text) {
  if (is_ip_literal(text) || is_ip_literal(text.substr(0, text.rfind(':'))))
    return "an IPv6 address is written in brackets, [address]:port";
  const std::string_view rest = text.substr(text.find(':') + 1);
  const bool is_scheme = !rest.empty() && (rest.front() < '0' || rest.front() > '9');
  return is_scheme ? "write host:port, without a scheme" : "write host:port, with one colon";
}

}  // namespace

std::optional<std::uint64_t> parse_unsigned(std::string_view text, std::uint64_t least,
                                            std::uint64_t most) {
  if (text.empty() || !std::all_of(text.begin(), text.end(), is_digit)) return std::nullopt;
  if (text.size() > 1 && text.front() == '0') return std::nullopt;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  if (value < least || value > most) return std::nullopt;
  return value;
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
  const auto value = parse_unsigned(text, 1, 65535);
  if (!value) return std::nullopt;
  return static_cast<std::uint16_t>(*value);
}

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text,
                                                        std::chrono::milliseconds most) {
  const auto most_millis = static_cast<std::uint64_t>(most.count());
  if (text == "0") return std::chrono::milliseconds{0};
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const std::string_view unit_name = text.substr(digits);
  for (const Unit& unit : kUnits) {
    if (unit.name != unit_name) continue;
    const auto count = parse_unsigned(text.substr(0, digits), 0, most_millis / unit.millis);
    if (!count) return std::nullopt;
    return std::chrono::milliseconds(static_cast<std::int64_t>(*count * unit.millis));
  }
  return std::nullopt;
}

std::string format_duration(std::chrono::milliseconds duration) {
  const auto millis = static_cast<std::uint64_t>(std::max<std::int64_t>(duration.count(), 0));
  if (millis == 0) return "0";
  for (auto unit = kUnits.rbegin(); unit != kUnits.rend(); ++unit) {
    if (millis % unit->millis == 0)
      return std::to_string(millis / unit->millis) + std::string(unit->name);
  }
  return std::to_string(millis) + "ms";
}

std::optional<std::string> percent_decode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const int high = hex_value(text[i + 1]);
    const int low = hex_value(text[i + 2]);
    if (high < 0 || low < 0 || (high == 0 && low == 0)) return std::nullopt;
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

Result<HostPort> parse_host_port(std::string_view text) {
  if (text.find("://") != std::string_view::npos)
    return bad_backend(text, "write host:port, without a scheme");
  const auto split = split_authority(text);
  if (const auto* fault = std::get_if<AuthorityFault>(&split)) {
    switch (*fault) {
      case AuthorityFault::unclosed:
        return bad_backend(text, "the closing ']' is missing");
      case AuthorityFault::behind_bracket:
        return bad_backend(text, "the port is missing");
      case AuthorityFault::many_colons:
        if (text.starts_with('[')) return bad_backend(text, "the port is a number from 1 to 65535");
        return bad_backend(text, fault_of_colons(text));
    }
  }
  const auto& [host, is_bracketed, port] = std::get<AuthorityParts>(split);
  if (is_bracketed && (host.find(':') == std::string_view::npos || !is_ip_literal(host)))
    return bad_backend(text, host.find('%') == std::string_view::npos
                                 ? "between '[' and ']' stands no IPv6 address"
                                 : "a zone is the name of an interface behind a link-local "
                                   "IPv6 address, as in [fe80::1%eth0]:80");
  if (!port) return bad_backend(text, "the port is missing");
  if (!is_bracketed && !is_address(AF_INET, host)) {
    if (auto fault = name_fault(host)) return bad_backend(text, *fault);
  }
  const auto number = parse_port(*port);
  if (!number) return bad_backend(text, "the port is a number from 1 to 65535");
  return HostPort{std::string(host), *number};
}

std::string to_string(const HostPort& value) {
  const bool v6 = value.host.find(':') != std::string::npos;
  return (v6 ? "[" + value.host + "]" : value.host) + ":" + std::to_string(value.port);
}

bool is_ip_literal(std::string_view text) {
  const std::size_t percent = text.find('%');
  if (percent != std::string_view::npos)
    return is_link_local(text.substr(0, percent)) && is_zone(text.substr(percent + 1));
  return is_address(AF_INET, text) || is_address(AF_INET6, text);
}

bool lacks_zone(std::string_view text) { return is_link_local(text); }

bool is_group_address(std::string_view text) {
  constexpr std::array<unsigned char, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (!is_ip_literal(text)) return false;
  const std::string plain(text.substr(0, text.find('%')));
  std::array<unsigned char, 16> v6{};
  if (::inet_pton(AF_INET6, plain.c_str(), v6.data()) != 1) {
    std::copy(kMapped.begin(), kMapped.end(), v6.begin());
    if (::inet_pton(AF_INET, plain.c_str(), &v6[kMapped.size()]) != 1) return false;
  }
  if (!std::equal(kMapped.begin(), kMapped.end(), v6.begin())) return v6[0] == 0xff;
  const bool is_multicast = (v6[12] & 0xf0) == 0xe0;
  return is_multicast ||
         std::all_of(v6.begin() + kMapped.size(), v6.end(), [](auto byte) { return byte == 0xff; });
}

std::string quoted(std::string_view text) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text.substr(0, kMaxQuoted)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f && c != '"' && c != '\\') {
      out += c;
    } else if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else {
      out += "\\x";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
  if (text.size() > kMaxQuoted) out += "...";
  return out + "\"";
}

std::string to_lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

std::string to_upper(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return out;
}

}  // namespace sc::base
