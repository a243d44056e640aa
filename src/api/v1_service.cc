#include <array>
#include <limits>
#include <utility>
#include <vector>

#include "api/json_input.h"
#include "api/json_output.h"
#include "api/v1_call.h"
#include "base/text.h"

namespace sc::api {
namespace {

constexpr std::string_view kHistory = "/v1/history";
constexpr std::uint64_t kUsualHistoryPage = 100;

std::string action_names() {
  std::string names;
  for (const auto action :
       {core::EventAction::created, core::EventAction::changed, core::EventAction::removed,
        core::EventAction::opened, core::EventAction::failed, core::EventAction::reopened,
        core::EventAction::expired})
    names.append(names.empty() ? "" : ", ").append(core::to_string(action));
  return names;
}

Outcome<core::HistoryQuery> read_history_query(const Query& query) {
  core::HistoryQuery wanted;
  const auto port = query.number("port", 1, 65535);
  if (!port) return port.error();
  if (*port) wanted.port = static_cast<std::uint16_t>(**port);
  const auto since = query.time("since");
  if (!since) return since.error();
  wanted.since = *since;
  const auto until = query.time("until");
  if (!until) return until.error();
  wanted.until = *until;
  wanted.actor = query.text("actor");
  if (const auto action = query.text("action")) {
    wanted.action = core::parse_event_action(*action);
    if (!wanted.action) return bad_parameter("action", *action, "is one of " + action_names());
  }
  const auto limit = query.number("limit", 1, core::kMaxHistoryPage);
  if (!limit) return limit.error();
  wanted.limit = static_cast<std::size_t>(limit->value_or(kUsualHistoryPage));
  if (const auto cursor = query.text("cursor")) {
    const auto before = base::parse_unsigned(*cursor, 1, std::numeric_limits<std::int64_t>::max());
    if (!before) return bad_parameter("cursor", *cursor, "is the next_cursor of the page before");
    wanted.before_id = static_cast<std::int64_t>(*before);
  }
  return wanted;
}

std::optional<Problem> get_history(const V1Services& on, const Call& call, Reply& reply) {
  auto query =
      Query::read(call.request, {"port", "since", "until", "actor", "action", "limit", "cursor"});
  if (!query) return query.error();
  const auto wanted = read_history_query(*query);
  if (!wanted) return wanted.error();
  on.conductor.history(*wanted, [query = std::move(*query), reply = std::move(reply)](
                                    const base::Result<core::HistoryPage>& page) mutable {
    if (!page) return reply.refuse(page.error());
    const std::string cursor = page->before_id ? std::to_string(*page->before_id) : "";
    reply.send_json(history_json(*page, cursor), 200, next_page(kHistory, query, cursor));
  });
  return std::nullopt;
}

std::optional<Problem> get_status(const V1Services& on, const Call& call, Reply& reply) {
  if (const auto query = Query::read(call.request, {}); !query) return query.error();
  reply.send_json(status_json(on.facts(), on.conductor.ports(), on.conductor.summary()));
  return std::nullopt;
}

std::optional<Problem> post_drain(const V1Services& on, const Call& call, Reply& reply) {
  if (auto may = core::check_may_administer(call.caller); !may) return to_problem(may.error());
  if (const auto query = Query::read(call.request, {}); !query) return query.error();
  std::optional<std::chrono::milliseconds> timeout;
  if (!call.request.body.empty()) {
    if (auto refused = check_json_body(call)) return refused;
    const auto wanted = read_drain(call.request.body);
    if (!wanted) return wanted.error();
    timeout = *wanted;
  }
  on.drain(timeout, call.actor());
  reply.send_json(drain_json(on.facts()), 202);
  return std::nullopt;
}

std::optional<Problem> get_health(const V1Services& /*on*/, const Call& call, Reply& reply) {
  if (const auto query = Query::read(call.request, {}); !query) return query.error();
  reply.send_json(healthy_json());
  return std::nullopt;
}

// The phase matters most, then the service's conditions, then its streams.
std::string why_not_ready(const ServiceFacts& facts, std::size_t silent_streams) {
  if (facts.phase != ServiceFacts::Phase::serving)
    return "the service is " + std::string(to_string(facts.phase));
  for (const core::Condition& condition : facts.conditions)
    if (condition.readiness == core::Readiness::unready)
      return condition.component + ": " + condition.reason;
  return std::to_string(silent_streams) + " of the enabled streams cannot listen at their ports";
}

std::optional<Problem> get_readiness(const V1Services& on, const Call& call, Reply& reply) {
  if (const auto query = Query::read(call.request, {}); !query) return query.error();
  std::vector<core::Stream> silent;
  for (const auto& [port, stream] : on.conductor.list())
    if (stream.spec.enabled && stream.state != core::StreamState::listening)
      silent.push_back(stream);
  const ServiceFacts facts = on.facts();
  if (silent.empty() && is_ready(facts)) {
    reply.send_json(healthy_json());
    return std::nullopt;
  }
  http::Response response;
  response.status = 503;
  response.content_type = "application/problem+json";
  response.body = not_ready_json(why_not_ready(facts, silent.size()), silent, facts.conditions,
                                 reply.request_id());
  response.headers.push_back({"Retry-After", "1"});
  reply.send(std::move(response));
  return std::nullopt;
}

std::optional<Problem> get_openapi(const V1Services& /*on*/, const Call& call, Reply& reply) {
  static const std::string tag = tag_of(openapi_document());
  if (const auto query = Query::read(call.request, {}); !query) return query.error();
  const auto conditions = Conditions::read(call.request);
  if (!conditions) return conditions.error();
  reply.send_tagged(*conditions, tag, std::string(openapi_document()));
  return std::nullopt;
}

}  // namespace

std::vector<Endpoint> service_endpoints(const V1Services& on) {
  using Step = std::optional<Problem> (*)(const V1Services&, const Call&, Reply&);
  const auto route = [&on](const char* method, const char* pattern, Step step) {
    return endpoint(method, pattern,
                    [on, step](const Call& call, Reply& reply) { return step(on, call, reply); });
  };
  return {
      route("GET", "/v1/history", get_history), route("GET", "/v1/status", get_status),
      route("POST", "/v1/drain", post_drain),   route("GET", "/readyz", get_readiness),
      route("GET", "/healthz", get_health),     route("GET", "/openapi.json", get_openapi),
  };
}

}  // namespace sc::api
