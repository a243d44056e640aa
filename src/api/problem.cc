#include "api/problem.h"

#include <algorithm>
#include <array>
#include <utility>

#include "api/json.h"

namespace sc::api {
namespace {

// A service that stops is back, under systemd, about then.
constexpr const char* kRetrySeconds = "5";

struct Row {
  ProblemType type;
  int status;
  std::string_view slug;
  std::string_view title;
};
// By type. Of two types with one status the first one stands for the status alone.
constexpr std::array kRows{
    Row{ProblemType::malformed_request, 400, "malformed-request", "Malformed request"},
    Row{ProblemType::malformed_json, 400, "malformed-json", "Malformed JSON"},
    Row{ProblemType::unauthorized, 401, "unauthorized", "Unauthorized"},
    Row{ProblemType::forbidden, 403, "forbidden", "Forbidden"},
    Row{ProblemType::privileged_port, 403, "privileged-port",
        "The service lacks the privilege for this port"},
    Row{ProblemType::not_found, 404, "not-found", "Not found"},
    Row{ProblemType::method_not_allowed, 405, "method-not-allowed", "Method not allowed"},
    Row{ProblemType::not_acceptable, 406, "not-acceptable", "Not acceptable"},
    Row{ProblemType::request_timeout, 408, "request-timeout", "Request timeout"},
    Row{ProblemType::port_has_stream, 409, "port-has-stream", "The port has a stream"},
    Row{ProblemType::port_in_use, 409, "port-in-use", "A socket of this host has the port already"},
    Row{ProblemType::precondition_failed, 412, "precondition-failed", "Precondition failed"},
    Row{ProblemType::content_too_large, 413, "content-too-large", "Content too large"},
    Row{ProblemType::uri_too_long, 414, "uri-too-long", "URI too long"},
    Row{ProblemType::unsupported_media_type, 415, "unsupported-media-type",
        "Unsupported media type"},
    Row{ProblemType::invalid_field, 422, "invalid-field", "Invalid field"},
    Row{ProblemType::loop, 422, "loop", "The stream would forward back to itself"},
    Row{ProblemType::too_many_requests, 429, "too-many-requests", "Too many requests"},
    Row{ProblemType::headers_too_large, 431, "headers-too-large", "Request headers too large"},
    Row{ProblemType::internal, 500, "internal", "Internal error"},
    Row{ProblemType::not_implemented, 501, "not-implemented", "Not implemented"},
    Row{ProblemType::unavailable, 503, "unavailable", "Unavailable"},
    Row{ProblemType::database_replaced, 503, "database-replaced",
        "The database was replaced, reload the service"},
    Row{ProblemType::version_not_supported, 505, "version-not-supported",
        "HTTP version not supported"},
};

const Row& row_of(ProblemType type) { return kRows.at(static_cast<std::size_t>(type)); }

ProblemType type_of(int status) {
  const auto found = std::find_if(kRows.begin(), kRows.end(),
                                  [&](const Row& row) { return row.status == status; });
  if (found != kRows.end()) return found->type;
  return status < 500 ? ProblemType::malformed_request : ProblemType::internal;
}

ProblemType type_of(base::Errc code) {
  switch (code) {
    case base::Errc::invalid:
      return ProblemType::invalid_field;
    case base::Errc::not_found:
      return ProblemType::not_found;
    case base::Errc::conflict:
      return ProblemType::port_has_stream;
    case base::Errc::in_use:
      return ProblemType::port_in_use;
    case base::Errc::loop:
      return ProblemType::loop;
    case base::Errc::precondition:
      return ProblemType::precondition_failed;
    case base::Errc::unauthorized:
      return ProblemType::unauthorized;
    case base::Errc::forbidden:
      return ProblemType::forbidden;
    case base::Errc::privilege:
      return ProblemType::privileged_port;
    case base::Errc::replaced:
      return ProblemType::database_replaced;
    case base::Errc::unavailable:
      return ProblemType::unavailable;
    case base::Errc::internal:
      return ProblemType::internal;
  }
  return ProblemType::internal;
}

http::Response make_answer(const Row& row, int status, const Problem& problem) {
  http::Response response;
  response.status = status;
  response.content_type = "application/problem+json";
  response.body = problem_json(row.slug, row.title, status, problem);
  response.problem = row.slug;
  // RFC 9110 section 11.6.1: a 401 names a scheme.
  if (status == 401) response.headers.push_back({"WWW-Authenticate", "Bearer"});
  if (status == 503) response.headers.push_back({"Retry-After", kRetrySeconds});
  // A caller without permission must not hold a place of the API. Of privileged-port the caller
  // has permission, and the service lacks it.
  response.close = status == 401 || (status == 403 && problem.type != ProblemType::privileged_port);
  return response;
}

// The fault as it stands beside its pointer: without the field's name in front, which the message
// has where it stands alone.
FieldFault beside_pointer(const std::string& pointer, const std::string& message) {
  const std::string name = pointer.substr(pointer.rfind('/') + 1) + " ";
  return {pointer,
          name.size() > 1 && message.starts_with(name) ? message.substr(name.size()) : message};
}

}  // namespace

Problem to_problem(const base::Error& error) {
  Problem problem{type_of(error.code), error.message, {}, {}};
  if (!error.field.empty()) problem.faults.push_back(beside_pointer(error.field, error.message));
  for (const base::WrongPart& part : error.more)
    problem.faults.push_back(beside_pointer(part.field, part.message));
  return problem;
}

Problem invalid_fields(std::vector<FieldFault> faults) {
  Problem problem{ProblemType::invalid_field, {}, std::move(faults), {}};
  const FieldFault& first = problem.faults.front();
  problem.detail = first.pointer.empty() ? first.detail : first.pointer + ": " + first.detail;
  return problem;
}

http::Response answer(const Problem& problem) {
  const Row& row = row_of(problem.type);
  return make_answer(row, row.status, problem);
}

http::Response problem(const base::Error& error, const std::string& request_id) {
  Problem made = to_problem(error);
  made.request_id = request_id;
  return answer(made);
}

http::Response problem(int status, const std::string& detail, const std::string& request_id) {
  const ProblemType type = type_of(status);
  return make_answer(row_of(type), status, {type, detail, {}, request_id});
}

http::Response json_answer(std::string body) {
  http::Response response;
  response.content_type = "application/json";
  response.body = std::move(body);
  return response;
}

}  // namespace sc::api
