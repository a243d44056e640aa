#include "api/json_output.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "api/json_session.h"
#include "api/json_writer.h"
#include "base/text.h"

namespace sc::api {
namespace {

using core::Stream;
using core::StreamSpec;
using core::StreamState;
using core::Traffic;

void text_or_null(JsonWriter& out, std::string_view name, std::string_view text) {
  out.key(name);
  text.empty() ? out.null() : out.string(text);
}

void time_or_null(JsonWriter& out, std::string_view name, std::optional<base::WallTime> time) {
  out.key(name);
  time ? out.string(base::to_iso8601(*time)) : out.null();
}

void duration_or_null(JsonWriter& out, std::string_view name,
                      std::optional<std::chrono::milliseconds> duration) {
  out.key(name);
  duration ? out.string(base::format_duration(*duration)) : out.null();
}

void number_or_null(JsonWriter& out, std::string_view name, std::optional<std::uint64_t> number) {
  out.key(name);
  number ? out.number(*number) : out.null();
}

void append_spec_fields(JsonWriter& out, const StreamSpec& spec) {
  out.key("port").number(spec.port);
  text_or_null(out, "listen_address", spec.listen_address);
  out.key("backend").string(base::to_string(spec.backend));
  text_or_null(out, "label", spec.label);
  text_or_null(out, "note", spec.note);
  text_or_null(out, "owner", spec.owner);
  out.key("enabled").boolean(spec.enabled);
  time_or_null(out, "expires_at", spec.expires_at);
  out.key("max_sessions");
  spec.max_sessions == 0 ? out.null() : out.number(spec.max_sessions);
  duration_or_null(out, "connect_timeout", spec.connect_timeout);
  duration_or_null(out, "idle_timeout", spec.idle_timeout);
  duration_or_null(out, "lifetime", spec.lifetime);
  out.key("durable").string(core::to_string(spec.durable));
}

// Those that there were.
void append_ended(JsonWriter& out, const Traffic* traffic) {
  out.key("ended");
  if (traffic == nullptr) {
    out.null();
    return;
  }
  out.begin_object();
  for (std::size_t i = 0; i < core::kEndReasons; ++i)
    if (const std::uint64_t count = traffic->ended.at(i); count > 0)
      out.key(core::to_string(static_cast<core::EndReason>(i))).number(count);
  out.end_object();
}

void append_stream_fields(JsonWriter& out, const Stream& stream, const Traffic* traffic) {
  append_spec_fields(out, stream.spec);
  out.key("state").string(core::to_string(stream.state));
  text_or_null(out, "reason", stream.reason);
  out.key("created_at").string(base::to_iso8601(stream.created_at));
  out.key("updated_at").string(base::to_iso8601(stream.updated_at));
  text_or_null(out, "created_by", stream.created_by);
  out.key("revision").integer(stream.revision);
  const auto count = [&](std::string_view name, std::uint64_t Traffic::*number) {
    out.key(name);
    traffic == nullptr ? out.null() : out.number(traffic->*number);
  };
  count("sessions_active", &Traffic::sessions_active);
  count("sessions_total", &Traffic::sessions_total);
  count("bytes_in", &Traffic::bytes_in);
  count("bytes_out", &Traffic::bytes_out);
  append_ended(out, traffic);
}

void append_stream(JsonWriter& out, const Stream& stream, const Traffic* traffic) {
  out.begin_object();
  append_stream_fields(out, stream, traffic);
  out.end_object();
}

void append_optional_stream(JsonWriter& out, std::string_view name,
                            const std::optional<Stream>& stream) {
  out.key(name);
  if (stream) {
    append_stream(out, *stream, nullptr);
  } else {
    out.null();
  }
}

// A problem of one stream, short.
void append_trouble(JsonWriter& out, const Stream& stream) {
  out.begin_object();
  out.key("port").number(stream.spec.port);
  out.key("state").string(core::to_string(stream.state));
  text_or_null(out, "reason", stream.reason);
  out.end_object();
}

template <class List, class Append>
std::string list_json(const List& list, const std::string& cursor, Append append) {
  JsonWriter out;
  out.begin_object().key("streams").begin_array();
  for (const auto& each : list) append(out, each);
  out.end_array();
  text_or_null(out, "next_cursor", cursor);
  return std::move(out.end_object()).take();
}

void append_event(JsonWriter& out, const core::RecordedEvent& recorded) {
  const core::Event& event = recorded.event;
  out.begin_object();
  out.key("id").integer(recorded.id);
  out.key("at").string(base::to_iso8601(event.at));
  out.key("action").string(core::to_string(event.action));
  out.key("port").number(event.port);
  text_or_null(out, "actor", event.actor.name);
  text_or_null(out, "request_id", event.actor.request_id);
  text_or_null(out, "backend_before", event.backend_before);
  text_or_null(out, "backend_after", event.backend_after);
  text_or_null(out, "detail", event.detail);
  out.key("stream");
  if (event.spec) {
    out.begin_object();
    append_spec_fields(out, *event.spec);
    out.end_object();
  } else {
    out.null();
  }
  out.end_object();
}

void append_condition(JsonWriter& out, const core::Condition& condition) {
  out.begin_object();
  out.key("component").string(condition.component);
  out.key("reason").string(condition.reason);
  out.key("ready").boolean(condition.readiness == core::Readiness::ready);
  out.key("since").string(base::to_iso8601(condition.since));
  out.end_object();
}

void append_stream_counts(JsonWriter& out, const core::StreamSummary& summary) {
  out.key("streams").begin_object();
  for (const StreamState state : {StreamState::listening, StreamState::failed,
                                  StreamState::draining, StreamState::disabled}) {
    const auto count = summary.counts.find(state);
    out.key(core::to_string(state)).number(count == summary.counts.end() ? 0 : count->second);
  }
  out.end_object();
}

void append_durability(JsonWriter& out, const ServiceFacts::Durability& facts) {
  out.key("durability").begin_object();
  out.key("available").boolean(facts.available);
  text_or_null(out, "reason", facts.reason);
  out.key("sessions").number(facts.sessions);
  out.key("not_durable").begin_object();
  for (const auto& [cause, count] : facts.not_durable) out.key(cause).number(count);
  out.end_object();
  out.end_object();
}

void append_phase(JsonWriter& out, const ServiceFacts& facts) {
  out.key("phase").string(to_string(facts.phase));
  time_or_null(out, "drain_until", facts.drain_until);
  out.key("sessions_active").number(facts.sessions_active);
}

}  // namespace

bool is_ready(const ServiceFacts& facts) {
  return facts.phase == ServiceFacts::Phase::serving &&
         std::none_of(facts.conditions.begin(), facts.conditions.end(),
                      [](const auto& each) { return each.readiness == core::Readiness::unready; });
}

std::string_view to_string(ServiceFacts::Phase phase) {
  switch (phase) {
    case ServiceFacts::Phase::starting:
      return "starting";
    case ServiceFacts::Phase::serving:
      return "serving";
    case ServiceFacts::Phase::draining:
      return "draining";
    case ServiceFacts::Phase::drained:
      return "drained";
  }
  return "?";
}

std::string stream_json(const View& view) {
  JsonWriter out;
  append_stream(out, view.stream, &view.traffic);
  return std::move(out).take();
}

std::string stream_detail_json(const View& view,
                               const std::optional<core::Resolution>& resolution) {
  JsonWriter out;
  out.begin_object();
  append_stream_fields(out, view.stream, &view.traffic);
  append_resolution(out, resolution);
  out.end_object();
  return std::move(out).take();
}

std::string stream_list_json(std::span<const View> views, const std::string& cursor) {
  return list_json(views, cursor, [](JsonWriter& out, const View& view) {
    append_stream(out, view.stream, &view.traffic);
  });
}

std::string past_stream_list_json(std::span<const Stream> streams, const std::string& cursor) {
  return list_json(streams, cursor, [](JsonWriter& out, const Stream& stream) {
    append_stream(out, stream, nullptr);
  });
}

std::string apply_report_json(const core::ApplyReport& report, bool dry_run, bool with_skipped) {
  JsonWriter out;
  out.begin_object();
  out.key("dry_run").boolean(dry_run);
  out.key("changes").begin_array();
  for (const core::StreamChange& change : report.changes) {
    const auto& any = change.after ? change.after : change.before;
    out.begin_object();
    out.key("port").number(any ? any->spec.port : 0);
    out.key("action").string(core::to_string(change.action));
    append_optional_stream(out, "before", change.before);
    append_optional_stream(out, "after", change.after);
    out.end_object();
  }
  out.end_array();
  out.key("unchanged").number(report.unchanged);
  if (with_skipped) {
    out.key("skipped").begin_array();
    for (const StreamSpec& spec : report.skipped) {
      out.begin_object();
      append_spec_fields(out, spec);
      out.end_object();
    }
    out.end_array();
  }
  return std::move(out.end_object()).take();
}

std::string history_json(const core::HistoryPage& page, const std::string& cursor) {
  JsonWriter out;
  out.begin_object().key("events").begin_array();
  for (const core::RecordedEvent& event : page.events) append_event(out, event);
  out.end_array();
  text_or_null(out, "next_cursor", cursor);
  text_or_null(out, "begins_at", page.start.at ? base::to_iso8601(*page.start.at) : "");
  return std::move(out.end_object()).take();
}

std::string event_json(const core::RecordedEvent& event) {
  JsonWriter out;
  append_event(out, event);
  return std::move(out).take();
}

std::string status_json(const ServiceFacts& facts, const core::PortRanges& ranges,
                        const core::StreamSummary& summary) {
  JsonWriter out;
  out.begin_object();
  out.key("version").string(facts.version);
  append_phase(out, facts);
  out.key("started_at").string(base::to_iso8601(facts.started_at));
  out.key("uptime_seconds").integer(facts.uptime.count());
  out.key("port_ranges").begin_array();
  for (const core::PortRange& range : ranges.ranges()) {
    out.begin_object();
    out.key("first").number(range.first);
    out.key("last").number(range.last);
    out.end_object();
  }
  out.end_array();
  append_stream_counts(out, summary);
  append_durability(out, facts.durability);
  out.key("workers").number(facts.workers);
  out.key("limits").begin_object();
  number_or_null(out, "max_sessions", facts.max_sessions);
  number_or_null(out, "max_sessions_per_stream", facts.max_sessions_per_stream);
  number_or_null(out, "descriptors", facts.descriptors);
  number_or_null(out, "reserved_sessions", facts.reserved_sessions);
  out.key("api_clients").number(facts.api_clients);
  out.key("max_api_clients").number(facts.max_api_clients);
  out.end_object();
  out.key("degraded").begin_array();
  for (const core::Condition& condition : facts.conditions) append_condition(out, condition);
  for (const Stream& stream : summary.degraded) append_trouble(out, stream);
  out.end_array();
  return std::move(out.end_object()).take();
}

std::string drain_json(const ServiceFacts& facts) {
  JsonWriter out;
  out.begin_object();
  append_phase(out, facts);
  return std::move(out.end_object()).take();
}

std::string healthy_json() {
  JsonWriter out;
  out.begin_object().key("status").string("ok");
  return std::move(out.end_object()).take();
}

std::string not_ready_json(const std::string& why, std::span<const Stream> streams,
                           std::span<const core::Condition> conditions,
                           const std::string& request_id) {
  JsonWriter out;
  out.begin_object();
  out.key("type").string("urn:stream-conductor:problem:unavailable");
  out.key("title").string("Unavailable");
  out.key("status").integer(503);
  out.key("detail").string(why);
  out.key("not_listening").begin_array();
  for (const Stream& stream : streams) append_trouble(out, stream);
  out.end_array();
  out.key("degraded").begin_array();
  for (const core::Condition& condition : conditions) append_condition(out, condition);
  out.end_array();
  out.key("request_id").string(request_id);
  return std::move(out.end_object()).take();
}

}  // namespace sc::api
