#include "api/json_session.h"

#include <chrono>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/text.h"
#include "core/end_reason.h"

namespace sc::api {
namespace {

void text_or_null(JsonWriter& out, std::string_view name, std::string_view text) {
  out.key(name);
  text.empty() ? out.null() : out.string(text);
}

// `ECONNREFUSED`; empty: none is known.
std::string_view name_of_errno(int number) {
  const char* name = number == 0 ? nullptr : ::strerrorname_np(number);
  return name == nullptr ? "" : name;
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
    text_or_null(out, "error", name_of_errno(attempt.error));
    out.key("took_ms").milliseconds(attempt.took);
    out.end_object();
  }
  out.end_array();
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
  text_or_null(out, "error", name_of_errno(session.error));
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

}  // namespace sc::api
