#include "api/json_events.h"

#include <string_view>
#include <utility>
#include <variant>

#include "api/json_output.h"
#include "api/json_session.h"
#include "api/json_writer.h"

namespace sc::api {
namespace {

// JSON texts have one line, so one `data` it is.
std::string block(std::string_view event, std::string_view id, std::string_view json) {
  if (json.ends_with('\n')) json.remove_suffix(1);
  std::string out;
  out.reserve(json.size() + 64);
  out.append("event: ").append(event).append("\n");
  if (!id.empty()) out.append("id: ").append(id).append("\n");
  return out.append("data: ").append(json).append("\n\n");
}

}  // namespace

std::string retry_text() { return "retry: 1000\n\n"; }

std::string place_text(std::int64_t id) { return "id: " + std::to_string(id) + "\n\n"; }

std::string heartbeat_text() { return ":\n\n"; }

std::string event_text(const core::RecordedEvent& event) {
  return block("stream", std::to_string(event.id), event_json(event));
}

std::string failure_text(const core::EndedSession& session) {
  return block("failure", {}, ended_session_json(session));
}

std::string session_text(const core::SessionNote& note) {
  JsonWriter out;
  out.begin_object();
  const bool is_end = std::holds_alternative<core::EndedSession>(note);
  out.key("change").string(is_end ? "ended" : "accepted");
  std::visit([&](const auto& session) { append_session_fields(out, session); }, note);
  return block("session", {}, std::move(out.end_object()).take());
}

std::string missed_notes_text(std::uint64_t count) {
  JsonWriter out;
  out.begin_object().key("of").string("sessions").key("count").number(count);
  return block("missed", {}, std::move(out.end_object()).take());
}

std::string missed_history_text() {
  JsonWriter out;
  out.begin_object().key("of").string("streams").key("count").null();
  return block("missed", {}, std::move(out.end_object()).take());
}

}  // namespace sc::api
