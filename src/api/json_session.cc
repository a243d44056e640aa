#include "api/json_session.h"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/text.h"
#include "core/end_reason.h"

namespace sc::api {
namespace {

void text_or_null(JsonWriter& out, std::string_view name, std::string_view text) {
  out.key(name);
  text.empty() ? out.null() : out.string(text);
}

void milliseconds_or_null(JsonWriter& out, std::string_view name,
                          std::optional<std::chrono::microseconds> duration) {
  out.key(name);
  duration ? out.milliseconds(*duration) : out.null();
}

void append_attempts(JsonWriter& out, const std::vector<core::DialAttempt>& tried) {
  out.key("tried").begin_array();
  for (const core::DialAttempt& attempt : tried) {
    out.begin_object();
    out.key("address").string(attempt.address);
    out.key("result").string(core::to_string(attempt.result));
    text_or_null(out, "error", base::errno_name(attempt.error));
    out.key("took_ms").milliseconds(attempt.took);
    out.end_object();
  }
  out.end_array();
}

void append_socket(JsonWriter& out, std::string_view name,
                   const std::optional<core::SocketFacts>& socket) {
  out.key(name);
  if (!socket) {
    out.null();
    return;
  }
  out.begin_object();
  out.key("local").string(socket->local);
  out.key("state").string(socket->state);
  out.key("rtt_ms").milliseconds(socket->rtt);
  out.key("rttvar_ms").milliseconds(socket->rttvar);
  out.key("retransmits").number(socket->retransmits);
  out.key("lost").number(socket->lost);
  out.key("congestion_window").number(socket->congestion_window);
  out.key("mss").number(socket->mss);
  out.key("unread").number(socket->unread);
  out.key("unsent").number(socket->unsent);
  out.key("unacknowledged").number(socket->unacknowledged);
  out.end_object();
}

}  // namespace

void append_session_fields(JsonWriter& out, const core::RunningSession& session) {
  out.key("id").string(std::to_string(session.id));
  out.key("port").number(session.port);
  out.key("state").string(core::to_string(session.state));
  out.key("client").string(session.client);
  out.key("backend").string(base::to_string(session.backend));
  text_or_null(out, "address", session.address);
  out.key("accepted_at").string(base::to_iso8601(session.accepted_at));
  out.key("age_ms").integer(session.age.count());
  out.key("idle_ms").integer(session.idle.count());
  milliseconds_or_null(out, "connected_after_ms", session.connected_after);
  milliseconds_or_null(out, "first_byte_after_ms", session.first_byte_after);
  out.key("bytes_in").number(session.bytes_in);
  out.key("bytes_out").number(session.bytes_out);
  out.key("durable").boolean(session.is_kept);
}

void append_session_fields(JsonWriter& out, const core::EndedSession& session) {
  out.key("id").string(std::to_string(session.id));
  out.key("port").number(session.port);
  out.key("client").string(session.client);
  out.key("backend").string(base::to_string(session.backend));
  text_or_null(out, "address", session.address);
  out.key("reason").string(core::to_string(session.reason));
  out.key("fault").string(core::to_string(core::fault_of(session.reason)));
  out.key("phase").string(core::to_string(session.phase));
  text_or_null(out, "error", base::errno_name(session.error));
  out.key("message").string(core::in_words(session));
  out.key("accepted_at").string(base::to_iso8601(session.accepted_at));
  milliseconds_or_null(out, "resolved_after_ms", session.resolved_after);
  milliseconds_or_null(out, "connected_after_ms", session.connected_after);
  milliseconds_or_null(out, "first_byte_after_ms", session.first_byte_after);
  out.key("ended_after_ms").milliseconds(session.ended_after);
  out.key("bytes_in").number(session.bytes_in);
  out.key("bytes_out").number(session.bytes_out);
  append_attempts(out, session.tried);
}

std::string session_list_json(std::span<const core::RunningSession> sessions,
                              const std::string& cursor, std::span<const std::string> silent) {
  JsonWriter out;
  out.begin_object().key("sessions").begin_array();
  for (const core::RunningSession& session : sessions) {
    out.begin_object();
    append_session_fields(out, session);
    out.end_object();
  }
  out.end_array();
  text_or_null(out, "next_cursor", cursor);
  out.key("missing_workers").begin_array();
  for (const std::string& worker : silent) out.string(worker);
  out.end_array();
  return std::move(out.end_object()).take();
}

std::string session_json(const core::SessionDetails& details) {
  JsonWriter out;
  out.begin_object();
  append_session_fields(out, details.session);
  append_socket(out, "client_socket", details.client);
  append_socket(out, "backend_socket", details.backend);
  append_attempts(out, details.tried);
  return std::move(out.end_object()).take();
}

std::string ended_session_json(const core::EndedSession& session) {
  JsonWriter out;
  out.begin_object();
  append_session_fields(out, session);
  return std::move(out.end_object()).take();
}

std::string failures_json(std::uint16_t port, const core::Failures& failures) {
  JsonWriter out;
  out.begin_object();
  out.key("port").number(port);
  out.key("failures").begin_array();
  for (const core::EndedSession& session : failures.sessions) {
    out.begin_object();
    append_session_fields(out, session);
    out.end_object();
  }
  out.end_array();
  out.key("groups").begin_array();
  for (const core::FailureGroup& group : failures.groups) {
    out.begin_object();
    out.key("reason").string(core::to_string(group.reason));
    out.key("fault").string(core::to_string(core::fault_of(group.reason)));
    out.key("address").string(group.address);
    text_or_null(out, "error", base::errno_name(group.error));
    out.key("count").number(group.count);
    out.key("first").string(base::to_iso8601(group.first));
    out.key("last").string(base::to_iso8601(group.last));
    out.key("sessions").begin_array();
    for (const core::SessionId id : group.sessions) out.string(std::to_string(id));
    out.end_array();
    out.end_object();
  }
  out.end_array();
  return std::move(out.end_object()).take();
}

void append_resolution(JsonWriter& out, const std::optional<core::Resolution>& resolution) {
  out.key("resolution");
  if (!resolution) {
    out.null();
    return;
  }
  out.begin_object();
  out.key("name").string(resolution->name);
  text_or_null(out, "source", resolution->source);
  out.key("addresses").begin_array();
  for (const std::string& address : resolution->addresses) out.string(address);
  out.end_array();
  milliseconds_or_null(out, "age_ms", resolution->age);
  out.key("ttl_s");
  resolution->ttl ? out.integer(resolution->ttl->count()) : out.null();
  out.key("stale").boolean(resolution->is_stale);
  text_or_null(out, "failure", resolution->failure);
  out.key("last_failure_at");
  resolution->failed_at ? out.string(base::to_iso8601(*resolution->failed_at)) : out.null();
  text_or_null(out, "last_failure", resolution->last_failure);
  out.end_object();
}

std::string check_json(const core::StreamSpec& spec, const core::CheckReport& report) {
  JsonWriter out;
  out.begin_object();
  out.key("port").number(spec.port);
  out.key("backend").string(base::to_string(spec.backend));
  out.key("reachable").boolean(report.is_reachable);
  text_or_null(out, "reason", report.is_reachable ? "" : core::to_string(report.reason));
  out.key("message").string(report.trouble);
  text_or_null(out, "address", report.address);
  milliseconds_or_null(out, "resolved_after_ms", report.resolved_after);
  out.key("addresses").begin_array();
  for (const std::string& address : report.addresses) out.string(address);
  out.end_array();
  append_resolution(out, report.resolution);
  append_attempts(out, report.tried);
  out.key("took_ms").milliseconds(report.took);
  return std::move(out.end_object()).take();
}

}  // namespace sc::api
