#include "api/json.h"

#include <nlohmann/json.hpp>

namespace sc::api {
namespace {

using Json = nlohmann::ordered_json;

// What is not UTF-8 (a path may hold any bytes) becomes U+FFFD. The line end is for people with
// curl.
std::string to_text(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

std::string problem_json(int status, std::string_view title, std::string_view detail) {
  return to_text(
      Json{{"type", "about:blank"}, {"title", title}, {"status", status}, {"detail", detail}});
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
