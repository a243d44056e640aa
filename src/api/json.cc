#include "api/json.h"

#include <utility>

#include "api/json_writer.h"
#include "api/problem.h"

namespace sc::api {
namespace {

// `{"result": ..., "<more>": "<text>"}`: most of the original's answers.
std::string result_json(std::string_view result, std::string_view more = {},
                        std::string_view text = {}) {
  JsonWriter out;
  out.begin_object().key("result").string(result);
  if (!more.empty()) out.key(more).string(text);
  return std::move(out.end_object()).take();
}

}  // namespace

std::string problem_json(std::string_view slug, std::string_view title, int status,
                         const Problem& problem) {
  JsonWriter out;
  out.begin_object();
  out.key("type").string("urn:stream-conductor:problem:" + std::string(slug));
  out.key("title").string(title);
  out.key("status").integer(status);
  out.key("detail").string(problem.detail);
  if (!problem.faults.empty()) {
    out.key("pointer").string(problem.faults.front().pointer);
    out.key("errors").begin_array();
    for (const FieldFault& fault : problem.faults) {
      out.begin_object();
      out.key("pointer").string(fault.pointer);
      out.key("detail").string(fault.detail);
      out.end_object();
    }
    out.end_array();
  }
  if (!problem.request_id.empty()) out.key("request_id").string(problem.request_id);
  return std::move(out.end_object()).take();
}

// `available_ports` in the original's words, Python's for a range, but here the last port counts.
std::string legacy_status_json(const core::PortRanges& ranges) {
  std::string available;
  for (const core::PortRange& range : ranges.ranges()) {
    if (!available.empty()) available += ", ";
    available += "range(" + std::to_string(range.first) + ", " + std::to_string(range.last) + ")";
  }
  JsonWriter out;
  out.begin_object();
  out.key("version").string("0.1");
  out.key("available_ports").string(available);
  out.key("range").string("range(" + ranges.to_string() + ")");
  return std::move(out.end_object()).take();
}

std::string legacy_streams_json(const core::StreamMap& streams) {
  JsonWriter out;
  out.begin_array();
  for (const auto& [port, stream] : streams) {
    out.begin_object();
    out.key("listen").integer(port);
    out.key("proxy_pass").string(base::to_string(stream.spec.backend));
    out.end_object();
  }
  return std::move(out.end_array()).take();
}

std::string legacy_ok_json() { return result_json("ok", "errors", ""); }

std::string legacy_error_json(std::string_view why) { return result_json("error", "errors", why); }

// The original's own spelling: `error`, not `errors`.
std::string legacy_not_found_json() { return result_json("error", "error", "not found"); }

std::string legacy_has_json(bool has) {
  return result_json(has ? "true" : "false");  // texts, as the original's
}

std::string legacy_port_json(std::uint16_t port) {
  JsonWriter out;
  out.begin_object().key("result").string("ok");
  return std::move(out.key("port").integer(port).end_object()).take();
}

std::string legacy_none_available_json() { return result_json("none available"); }

}  // namespace sc::api
