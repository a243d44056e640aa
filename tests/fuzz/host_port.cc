#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/text.h"
#include "fuzz/require.h"

// The strict readers of base/text: what they take prints as something that they take for the same.

using namespace sc;
using fuzz::require;

namespace {

void check_host_port(std::string_view text) {
  const auto parsed = base::parse_host_port(text);
  if (!parsed) {
    require(!parsed.error().message.empty(), "a refusal says why");
    return;
  }
  require(parsed->port != 0, "a port is not 0");
  // A name may end in the root's dot, which DNS does not count (RFC 1035 section 2.3.4: 255
  // octets).
  const std::size_t most = parsed->host.ends_with('.') ? 254 : 253;
  require(!parsed->host.empty() && parsed->host.size() <= most, "a host has 1 to 253 characters");
  require(std::all_of(parsed->host.begin(), parsed->host.end(),
                      [](char c) { return c > 0x20 && c < 0x7f && c != '[' && c != ']'; }),
          "a host is visible ASCII without brackets");
  const std::string printed = base::to_string(*parsed);
  const auto again = base::parse_host_port(printed);
  require(again && *again == *parsed, "host and port print as what is read as the same");
  require(base::to_string(*again) == printed, "and print as the same again");
  if (parsed->host.find(':') != std::string::npos)
    require(base::is_ip_literal(parsed->host), "a host with colons is an IPv6 address");
}

void check_numbers(std::string_view text) {
  if (const auto number = base::parse_unsigned(text, 0, UINT64_MAX))
    require(std::to_string(*number) == text, "a number has one way to be written");
  const auto port = base::parse_port(text);
  require(!port || (*port != 0 && std::to_string(*port) == text), "a port is such a number");
  if (const auto duration = base::parse_duration(text)) {
    require(*duration <= std::chrono::hours{24 * 365} && duration->count() >= 0,
            "a duration is at most a year");
    require(base::parse_duration(base::format_duration(*duration)) == duration,
            "a duration prints as what is read as the same");
  }
}

void check_texts(std::string_view text) {
  if (const auto decoded = base::percent_decode(text)) {
    require(decoded->size() <= text.size(), "decoding makes nothing longer");
    require(text.find('%') != std::string_view::npos || *decoded == text,
            "without escapes nothing is decoded");
    require(decoded->find('\0') == std::string::npos || text.find('\0') != std::string_view::npos,
            "no escape is decoded to NUL");
  }
  const std::string quoted = base::quoted(text);
  require(std::all_of(quoted.begin(), quoted.end(), [](char c) { return c >= 0x20 && c < 0x7f; }),
          "what is quoted is printable");
  require(base::to_lower(base::to_upper(text)) == base::to_lower(text), "case is ASCII's");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_host_port(text);
  check_numbers(text);
  check_texts(text);
  return 0;
}
