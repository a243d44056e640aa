#include "core/caller.h"

namespace sc::core {
namespace {

base::Result<void> check_role(const Caller& caller, Role least) {
  if (caller.role >= least) return {};
  return base::Error{base::Errc::forbidden, caller.name + " has the role " +
                                                std::string(to_string(caller.role)) +
                                                "; this needs " + std::string(to_string(least))};
}

}  // namespace

std::string_view to_string(Role role) {
  switch (role) {
    case Role::viewer:
      return "viewer";
    case Role::operator_:
      return "operator";
    case Role::admin:
      return "admin";
  }
  return "?";
}

std::optional<Role> parse_role(std::string_view text) {
  for (const Role role : {Role::viewer, Role::operator_, Role::admin})
    if (text == to_string(role)) return role;
  return std::nullopt;
}

base::Result<void> check_may_read(const Caller& caller) { return check_role(caller, Role::viewer); }

base::Result<void> check_may_change(const Caller& caller, std::uint16_t port) {
  if (auto may = check_role(caller, Role::operator_); !may) return may;
  if (!caller.ports || caller.ports->contains(port)) return {};
  return base::Error{base::Errc::forbidden, caller.name + " may change the ports " +
                                                caller.ports->to_string() + " only, not " +
                                                std::to_string(port)};
}

base::Result<void> check_may_administer(const Caller& caller) {
  if (auto may = check_role(caller, Role::admin); !may) return may;
  if (!caller.ports) return {};
  return base::Error{base::Errc::forbidden, caller.name + " may change the ports " +
                                                caller.ports->to_string() +
                                                " only; this is about all"};
}

}  // namespace sc::core
