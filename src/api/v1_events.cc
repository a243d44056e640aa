#include <array>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

#include "api/negotiation.h"
#include "api/v1_call.h"
#include "base/text.h"

namespace sc::api {
namespace {

constexpr std::array<OfferedType, 1> kEventStream{OfferedType{"text/event-stream", {}}};

// The header is the later one: a browser that comes again by itself sends it, and the target it
// began with.
Outcome<std::optional<std::int64_t>> read_last_id(const Call& call, const Query& query) {
  std::optional<std::string> text = query.text("last_event_id");
  std::string name = "parameter last_event_id";
  if (const std::string* header = call.request.header("Last-Event-ID");
      header != nullptr && !header->empty()) {
    text = *header;
    name = "header Last-Event-ID";
  }
  if (!text) return std::optional<std::int64_t>();
  const auto id = base::parse_unsigned(*text, 0, std::numeric_limits<std::int64_t>::max() - 1);
  if (id) return std::optional(static_cast<std::int64_t>(*id));
  return Problem{
      ProblemType::malformed_request,
      "the " + name + " is " + base::quoted(*text) + "; it is the id of an event, or 0 for all",
      {},
      {}};
}

Outcome<EventHub::Wanted> read_wanted(const Call& call, const Query& query) {
  EventHub::Wanted wanted;
  const auto port = query.number("port", 1, 65535);
  if (!port) return port.error();
  if (*port) wanted.port = static_cast<std::uint16_t>(**port);
  if (const auto types = query.text("types")) {
    wanted.streams = wanted.failures = wanted.sessions = false;
    std::string_view rest = *types;
    while (true) {
      const std::size_t comma = rest.find(',');
      const std::string_view type = rest.substr(0, comma);
      if (type == "stream") {
        wanted.streams = true;
      } else if (type == "failure") {
        wanted.failures = true;
      } else if (type == "session") {
        wanted.sessions = true;
      } else {
        return bad_parameter("types", *types, "lists stream, failure and session");
      }
      if (comma == std::string_view::npos) break;
      rest.remove_prefix(comma + 1);
    }
  }
  const auto last_id = read_last_id(call, query);
  if (!last_id) return last_id.error();
  wanted.after_id = *last_id;
  return wanted;
}

std::optional<Problem> get_events(const V1Services& on, const Call& call, Reply& reply) {
  if (const auto type = choose_type(call.request, kEventStream); !type) return type.error();
  const auto query = Query::read(call.request, {"port", "types", "last_event_id"});
  if (!query) return query.error();
  const auto wanted = read_wanted(call, *query);
  if (!wanted) return wanted.error();
  if (on.events.is_full())
    return Problem{
        ProblemType::unavailable,
        "as many clients watch events as may: " + std::to_string(EventHub::kMostWatchers),
        {},
        {}};
  on.events.watch(*wanted, call.caller, reply.take_responder());
  return std::nullopt;
}

}  // namespace

std::vector<Endpoint> event_endpoints(const V1Services& on) {
  return {endpoint_of_any_type("GET", "/v1/events", [on](const Call& call, Reply& reply) {
    return get_events(on, call, reply);
  })};
}

}  // namespace sc::api
