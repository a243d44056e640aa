#include "core/stream.h"

namespace sc::core {

std::string_view to_string(StreamState state) {
  switch (state) {
    case StreamState::listening:
      return "listening";
    case StreamState::failed:
      return "failed";
  }
  return "?";
}

base::Result<StreamSpec> make_spec(std::string_view port, std::string_view backend) {
  const auto number = base::parse_port(port);
  if (!number)
    return base::Error{base::Errc::invalid,
                       base::quoted(port) + " is not a port: a number from 1 to 65535"};
  auto parsed = base::parse_host_port(backend);
  if (!parsed) return parsed.error();
  return StreamSpec{*number, std::move(*parsed)};
}

base::Result<void> check_in_range(std::uint16_t port, const PortRanges& ranges) {
  if (ranges.contains(port)) return {};
  return base::Error{base::Errc::invalid, "port " + std::to_string(port) +
                                              " is outside of the range for streams, " +
                                              ranges.to_string()};
}

}  // namespace sc::core
