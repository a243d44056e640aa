#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "api/json_session.h"
#include "api/v1_call.h"
#include "base/log.h"
#include "base/text.h"

namespace sc::api {
namespace {

constexpr std::string_view kCollection = "/v1/sessions";
constexpr std::uint64_t kUsualPage = 100;
// Each has a way to a backend open for as long as its stream's connect_timeout, whether the one who
// asked for it waits or not.
constexpr std::size_t kMostChecks = 16;

Problem not_found(std::string detail) {
  return {ProblemType::not_found, std::move(detail), {}, {}};
}

Problem no_session(const std::string& id) {
  return not_found("no session that runs has the id " + base::quoted(id));
}

Problem no_stream(std::uint16_t port) {
  return not_found("port " + std::to_string(port) + " has no stream");
}

std::optional<core::SessionId> parse_id(std::string_view text) {
  return base::parse_unsigned(text, 1, std::numeric_limits<core::SessionId>::max());
}

Outcome<core::SessionQuery> read_session_query(const Query& query) {
  core::SessionQuery wanted;
  const auto port = query.number("port", 1, 65535);
  if (!port) return port.error();
  if (*port) wanted.port = static_cast<std::uint16_t>(**port);
  wanted.client = query.text("client");
  if (wanted.client && !base::is_ip_literal(*wanted.client))
    return bad_parameter("client", *wanted.client, "is an IP address, such as 10.0.0.1 or ::1");
  if (const auto age = query.text("min_age")) {
    const auto duration = base::parse_duration(*age);
    if (!duration) return bad_parameter("min_age", *age, "is 0 or a duration such as 30s");
    wanted.min_age = *duration;
  }
  const auto bytes = query.number("min_bytes", 0, std::numeric_limits<std::uint64_t>::max());
  if (!bytes) return bytes.error();
  wanted.min_bytes = bytes->value_or(0);
  const auto limit = query.number("limit", 1, core::kMaxSessionPage);
  if (!limit) return limit.error();
  wanted.limit = static_cast<std::size_t>(limit->value_or(kUsualPage));
  if (const auto cursor = query.text("cursor")) {
    wanted.before = parse_id(*cursor);
    if (!wanted.before)
      return bad_parameter("cursor", *cursor, "is the next_cursor of the page before");
  }
  return wanted;
}

std::optional<Problem> list_sessions(const V1Services& on, const Call& call, Reply& reply) {
  auto query =
      Query::read(call.request, {"port", "client", "min_age", "min_bytes", "limit", "cursor"});
  if (!query) return query.error();
  const auto wanted = read_session_query(*query);
  if (!wanted) return wanted.error();
  on.sessions.sessions(*wanted, [query = std::move(*query),
                                 reply = std::move(reply)](const core::SessionPage& page) mutable {
    const std::string cursor = page.before ? std::to_string(*page.before) : "";
    reply.send_json(session_list_json(page.sessions, cursor, page.silent), 200,
                    next_page(kCollection, query, cursor));
  });
  return std::nullopt;
}

std::optional<Problem> get_session(const V1Services& on, const Call& call, Reply& reply) {
  if (const auto query = Query::read(call.request, {}); !query) return query.error();
  const std::string& text = call.params["id"];
  const auto id = parse_id(text);
  if (!id) return no_session(text);
  on.sessions.session(*id,
                      [text, reply = std::move(reply)](
                          const base::Result<std::optional<core::SessionDetails>>& found) mutable {
                        if (!found) return reply.refuse(found.error());
                        if (!*found) return reply.refuse(no_session(text));
                        reply.send_json(session_json(**found));
                      });
  return std::nullopt;
}

void kill_session(core::SessionBook& sessions, core::SessionId id, const core::Actor& actor,
                  Reply reply) {
  sessions.kill(id, [id, actor, reply = std::move(reply)](
                        const base::Result<std::optional<core::EndedSession>>& killed) mutable {
    if (!killed) return reply.refuse(killed.error());
    const std::optional<core::EndedSession>& ended = *killed;
    if (!ended) return reply.refuse(no_session(std::to_string(id)));
    base::log::info("session killed", {{"port", std::to_string(ended->port)},
                                       {"session", std::to_string(id)},
                                       {"client", ended->client},
                                       {"actor", actor.name},
                                       {"request_id", actor.request_id}});
    reply.send_json(ended_session_json(*ended));
  });
}

// Whose it is, is known only when it has been found.
std::optional<Problem> delete_session(const V1Services& on, const Call& call, Reply& reply) {
  if (auto may = check_may_operate(call.caller); !may) return to_problem(may.error());
  if (const auto query = Query::read(call.request, {}); !query) return query.error();
  const std::string& text = call.params["id"];
  const auto id = parse_id(text);
  if (!id) return no_session(text);
  on.sessions.session(
      *id, [&sessions = on.sessions, id = *id, caller = call.caller, actor = call.actor(),
            reply = std::move(reply)](
               const base::Result<std::optional<core::SessionDetails>>& found) mutable {
        if (!found) return reply.refuse(found.error());
        if (!*found) return reply.refuse(no_session(std::to_string(id)));
        if (auto may = core::check_may_change(caller, (*found)->session.port); !may)
          return reply.refuse(may.error());
        kill_session(sessions, id, actor, std::move(reply));
      });
  return std::nullopt;
}

std::optional<Problem> get_failures(const V1Services& on, const Call& call, Reply& reply) {
  const auto port = port_of(call);
  if (!port) return port.error();
  if (const auto query = Query::read(call.request, {}); !query) return query.error();
  if (!on.conductor.view(*port)) return no_stream(*port);
  reply.send_json(failures_json(*port, on.sessions.failures(*port)));
  return std::nullopt;
}

std::optional<Problem> check_stream(const V1Services& on, const Call& call, Reply& reply,
                                    const std::shared_ptr<std::size_t>& running) {
  const auto port = port_of(call);
  if (!port) return port.error();
  if (auto may = core::check_may_change(call.caller, *port); !may) return to_problem(may.error());
  if (const auto query = Query::read(call.request, {}); !query) return query.error();
  if (!call.request.body.empty())
    return Problem{ProblemType::malformed_request, "a check takes no body", {}, {}};
  const auto view = on.conductor.view(*port);
  if (!view) return no_stream(*port);
  const core::StreamSpec& spec = view->stream.spec;
  if (*running == kMostChecks)
    return to_problem({base::Errc::unavailable,
                       std::to_string(kMostChecks) + " checks are being made already",
                       {}});
  ++*running;
  on.sessions.check(
      spec, [spec, running, reply = std::move(reply)](const core::CheckReport& report) mutable {
        --*running;
        reply.send_json(check_json(spec, report));
      });
  return std::nullopt;
}

}  // namespace

std::vector<Endpoint> session_endpoints(const V1Services& on) {
  using Step = std::optional<Problem> (*)(const V1Services&, const Call&, Reply&);
  const auto route = [&on](const char* method, const char* pattern, Step step) {
    return endpoint(method, pattern,
                    [on, step](const Call& call, Reply& reply) { return step(on, call, reply); });
  };
  return {
      route("GET", "/v1/sessions", list_sessions),
      route("GET", "/v1/sessions/{id}", get_session),
      route("DELETE", "/v1/sessions/{id}", delete_session),
      route("GET", "/v1/streams/{port}/failures", get_failures),
      endpoint("POST", "/v1/streams/{port}:check",
               [on, running = std::make_shared<std::size_t>(0)](const Call& call, Reply& reply) {
                 return check_stream(on, call, reply, running);
               }),
  };
}

}  // namespace sc::api
