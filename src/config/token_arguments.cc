#include "config/token_arguments.h"

#include <utility>

#include "base/text.h"
#include "core/token.h"

namespace sc::config {
namespace {

constexpr std::chrono::minutes kShortest{1};

base::Error bad(const std::string& flag, const std::string& value, const std::string& allowed) {
  return {base::Errc::invalid,
          flag + ": bad value " + base::quoted(value) + "; allowed: " + allowed};
}

}  // namespace

base::Result<CreateToken> read_token_arguments(const TokenArguments& given) {
  CreateToken out;
  out.name = given.name;
  const auto role = core::parse_role(given.role);
  if (!role) return bad("--role", given.role, "viewer, operator, admin");
  out.role = *role;
  if (!given.ports.empty()) {
    if (out.role == core::Role::viewer)
      return base::Error{base::Errc::invalid,
                         "--ports: a viewer changes no stream; leave --ports out, or create an "
                         "operator with --role operator"};
    auto ports = core::PortRanges::parse(given.ports);
    if (!ports)
      return bad("--ports", given.ports, "ports and inclusive ranges, as in 9000-9004,9009");
    out.ports = std::move(*ports);
  }
  if (!given.expires.empty()) {
    out.lasts = base::parse_duration(given.expires);
    if (!out.lasts || *out.lasts < kShortest)
      return bad("--expires", given.expires, "a duration from 1m to 365d, as in 12h or 90d");
  }
  core::Token token;
  token.name = out.name;
  token.role = out.role;
  token.ports = out.ports;
  if (auto valid = core::check_token(token); !valid) return valid.error();
  return out;
}

}  // namespace sc::config
