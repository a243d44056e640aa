#include "http/router.h"

#include <algorithm>
#include <array>
#include <cassert>

#include "base/text.h"

namespace sc::http {
namespace {

// RFC 9110 section 9 and RFC 5789. Any other method is one that the server does not recognize:
// 501, where a known one that the resource does not have is 405 (RFC 9110 section 15.6.2). CONNECT
// and TRACE are left out on purpose: no resource here will ever have them.
constexpr std::array<std::string_view, 7> kKnownMethods{"GET",    "HEAD",    "POST", "PUT",
                                                        "DELETE", "OPTIONS", "PATCH"};

std::vector<std::string_view> split(std::string_view path) {
  std::vector<std::string_view> segments;
  if (path.starts_with('/')) path.remove_prefix(1);
  while (true) {
    const std::size_t slash = path.find('/');
    segments.push_back(path.substr(0, slash));
    if (slash == std::string_view::npos) return segments;
    path.remove_prefix(slash + 1);
  }
}

// A segment of a pattern: `{name}end`, or a text that is all end.
struct Wanted {
  std::string_view name;
  std::string_view end;
};

Wanted parse_segment(std::string_view segment) {
  const std::size_t close = segment.starts_with('{') ? segment.find('}') : std::string_view::npos;
  if (close == std::string_view::npos || close < 2) return {{}, segment};
  return {segment.substr(1, close - 1), segment.substr(close + 1)};
}

void add_allowed(std::vector<std::string>& allowed, const std::string& method) {
  for (const char* name : {method.c_str(), method == "GET" ? "HEAD" : ""}) {
    if (*name != '\0' && std::find(allowed.begin(), allowed.end(), name) == allowed.end())
      allowed.emplace_back(name);
  }
}

std::string join(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : ", ") + name;
  return out;
}

Response options_answer(std::vector<std::string> allowed) {
  add_allowed(allowed, "OPTIONS");
  Response response;
  response.status = 204;
  response.headers.push_back({"Allow", join(allowed)});
  return response;
}

}  // namespace

const std::string& Params::operator[](std::string_view name) const {
  static const std::string kNone;
  const auto found = std::find_if(values_.begin(), values_.end(),
                                  [&](const auto& entry) { return entry.first == name; });
  assert(found != values_.end());
  return found == values_.end() ? kNone : found->second;
}

void Router::handle(std::string method, std::string_view pattern, RouteHandler handler,
                    Slashes slashes) {
  assert(pattern.starts_with('/'));
  assert(std::find(kKnownMethods.begin(), kKnownMethods.end(), method) != kKnownMethods.end());
  Route route{{std::move(method), std::string(pattern)}, {}, std::move(handler), false, slashes};
  for (const std::string_view segment : split(pattern)) {
    route.segments.emplace_back(segment);
    const Wanted wanted = parse_segment(segment);
    route.has_end = route.has_end || (!wanted.name.empty() && !wanted.end.empty());
  }
  routes_.push_back(std::move(route));
}

std::optional<Params> Router::match(const Route& route, const std::vector<std::string>& segments) {
  if (route.segments.size() != segments.size()) return std::nullopt;
  Params params;
  for (std::size_t i = 0; i < segments.size(); ++i) {
    const Wanted wanted = parse_segment(route.segments[i]);
    const std::string& segment = segments[i];
    if (wanted.name.empty()) {
      if (wanted.end != segment) return std::nullopt;
    } else if (segment.size() <= wanted.end.size() || !segment.ends_with(wanted.end)) {
      return std::nullopt;
    } else {
      params.add(std::string(wanted.name), segment.substr(0, segment.size() - wanted.end.size()));
    }
  }
  return params;
}

void Router::route(const Request& request, Responder responder) const {
  if (std::find(kKnownMethods.begin(), kKnownMethods.end(), request.method) ==
      kKnownMethods.end()) {
    responder.respond(error_body_(501, "the method " + request.method + " is not known here"));
    return;
  }
  if (request.path == "*") {
    answer_options_of_all(std::move(responder));
    return;
  }
  // Split first, decoded then: a `%2F` is part of its segment (RFC 3986 section 2.2).
  std::vector<std::string> segments;
  for (const std::string_view raw : split(request.path)) {
    auto segment = base::percent_decode(raw);
    if (!segment) {
      responder.respond(
          error_body_(400, "the path has a malformed percent-escape: " + base::quoted(raw)));
      return;
    }
    segments.push_back(std::move(*segment));
  }
  std::vector<std::pair<const Route*, Params>> fitting;
  std::vector<std::string> filled = segments;
  std::erase(filled, "");
  for (const Route& candidate : routes_)
    if (auto params = match(candidate, candidate.slashes == Slashes::lenient ? filled : segments))
      fitting.emplace_back(&candidate, std::move(*params));
  // `/streams/9000:check` is not meant by `/streams/{port}`.
  const auto has_end = [](const auto& each) { return each.first->has_end; };
  if (std::any_of(fitting.begin(), fitting.end(), has_end))
    std::erase_if(fitting, [&](const auto& each) { return !has_end(each); });
  std::vector<std::string> allowed;
  for (const auto& [candidate, params] : fitting) {
    const std::string& method = candidate->name.method;
    if (method == request.method || (request.method == "HEAD" && method == "GET")) {
      responder.set_route(candidate->name);
      candidate->handler(request, params, std::move(responder));
      return;
    }
    add_allowed(allowed, method);
  }
  answer_unmatched(request, allowed, std::move(responder));
}

void Router::answer_unmatched(const Request& request, const std::vector<std::string>& allowed,
                              Responder responder) const {
  if (allowed.empty()) {
    responder.respond(error_body_(404, "there is nothing at " + base::quoted(request.path)));
  } else if (request.method == "OPTIONS") {
    responder.respond(options_answer(allowed));
  } else {
    Response response = error_body_(405, request.method + " is not possible here");
    response.headers.push_back({"Allow", join(allowed)});
    responder.respond(std::move(response));
  }
}

void Router::answer_options_of_all(Responder responder) const {
  std::vector<std::string> allowed;
  for (const Route& route : routes_) add_allowed(allowed, route.name.method);
  responder.respond(options_answer(std::move(allowed)));
}

}  // namespace sc::http
