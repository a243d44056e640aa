#include "base/authority.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/hidden_text.h"
#include "base/text.h"
#include "fuzz/require.h"

// Whatever a Host header holds: what is taken prints as something that is taken for the same, and
// only what is plainly this host counts as it. Hidden characters of the same bytes are all found.

using namespace sc;
using fuzz::require;

namespace {

std::string print(const base::Authority& authority) {
  const bool is_v6 = authority.kind == base::Authority::Kind::ipv6;
  std::string text = is_v6 ? "[" + authority.host + "]" : authority.host;
  if (authority.port) text += ":" + std::to_string(*authority.port);
  return text;
}

void check_authority(std::string_view text) {
  const auto authority = base::parse_authority(text);
  if (!authority) return;
  require(base::parse_authority(print(*authority)) == authority, "it prints as the same");
  require(std::all_of(authority->host.begin(), authority->host.end(),
                      [](char c) { return c > 0x20 && c < 0x7f && !(c >= 'A' && c <= 'Z'); }),
          "a host is visible ASCII in lower case");
  require(authority->host.find_first_of("@/?#[]\\") == std::string::npos, "a host ends nowhere");
  if (!base::names_loopback(*authority)) return;
  // Read from the front only, by hand.
  const std::string lower = base::to_lower(text);
  const std::size_t end = lower.starts_with('[') ? lower.find(']') + 1 : lower.find(':');
  const std::string rest = lower.substr(std::min(end, lower.size()));
  require(rest.find_first_not_of(":0123456789") == std::string::npos &&
              std::count(rest.begin(), rest.end(), ':') <= 1,
          "behind the host of this host comes its port alone");
  std::string host = lower.substr(0, end);
  if (host.ends_with('.')) host.pop_back();
  require(host.ends_with("localhost") || host.starts_with("127.") || host.starts_with("[0") ||
              host.starts_with("[:"),
          "this host is localhost or a loopback address");
}

void check_backend(std::string_view text) {
  const auto backend = base::parse_host_port(text);
  if (!backend) return;
  const auto authority = base::parse_authority(text);
  require(authority && authority->port == backend->port, "a backend is an authority");
}

void check_hidden(std::string_view text) {
  const std::string shown = base::show_hidden(text);
  require(!base::find_hidden(shown), "nothing is hidden where it is shown");
  require(base::show_hidden(shown) == shown, "what is shown is shown as it is");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_authority(text);
  check_backend(text);
  check_hidden(text);
  return 0;
}
