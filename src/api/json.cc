#include "api/json.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "api/json_writer.h"
#include "api/problem.h"

namespace sc::api {
namespace {

using Json = nlohmann::ordered_json;

// What is not UTF-8 (a path may hold any bytes) becomes U+FFFD. The line end is for people with
// curl.
std::string to_text(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
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
  return to_text(Json{{"version", "0.1"},
                      {"available_ports", available},
                      {"range", "range(" + ranges.to_string() + ")"}});
}

std::string legacy_streams_json(const std::vector<core::Stream>& streams) {
  Json list = Json::array();
  for (const core::Stream& stream : streams)
    list.push_back(
        Json{{"listen", stream.spec.port}, {"proxy_pass", base::to_string(stream.spec.backend)}});
  return to_text(list);
}

std::string legacy_ok_json() { return to_text(Json{{"result", "ok"}, {"errors", ""}}); }

std::string legacy_error_json(std::string_view why) {
  return to_text(Json{{"result", "error"}, {"errors", why}});
}

// The original's own spelling: `error`, not `errors`.
std::string legacy_not_found_json() {
  return to_text(Json{{"result", "error"}, {"error", "not found"}});
}

std::string legacy_has_json(bool has) {
  return to_text(Json{{"result", has ? "true" : "false"}});  // texts, as the original's
}

std::string legacy_port_json(std::uint16_t port) {
  return to_text(Json{{"result", "ok"}, {"port", port}});
}

std::string legacy_none_available_json() { return to_text(Json{{"result", "none available"}}); }

}  // namespace sc::api
