#include "config/settings.h"

namespace sc::config {

std::string_view to_string(ApiAuth auth) {
  switch (auth) {
    case ApiAuth::remote:
      return "remote";
    case ApiAuth::always:
      return "always";
    case ApiAuth::off:
      return "off";
  }
  return "?";
}

std::string_view to_string(Resolver resolver) {
  return resolver == Resolver::dns ? "dns" : "system";
}

core::PortRanges default_port_range() { return *core::PortRanges::parse("9000-9009"); }

}  // namespace sc::config
