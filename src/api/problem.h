#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "http/message.h"

namespace sc::api {

// What can go wrong, as programs tell it apart: each has a URI of its own that never changes,
// `urn:stream-conductor:problem:<name>`, and one status. The table in the README lists them.
enum class ProblemType : unsigned char {
  malformed_request,       // 400
  malformed_json,          // 400
  unauthorized,            // 401
  forbidden,               // 403
  privileged_port,         // 403, this host does not let the service have the port
  not_found,               // 404
  method_not_allowed,      // 405
  not_acceptable,          // 406
  request_timeout,         // 408
  port_has_stream,         // 409, another stream holds it
  port_in_use,             // 409, another process does
  precondition_failed,     // 412
  content_too_large,       // 413
  uri_too_long,            // 414
  unsupported_media_type,  // 415
  invalid_field,           // 422
  loop,                    // 422, the stream would forward back to itself
  too_many_requests,       // 429
  headers_too_large,       // 431
  internal,                // 500
  not_implemented,         // 501
  unavailable,             // 503
  database_replaced,       // 503
  version_not_supported,   // 505
};

// One wrong part of a request's body.
struct FieldFault {
  std::string pointer;  // RFC 6901: `/backend`; empty: the body itself
  std::string detail;
  bool operator==(const FieldFault&) const = default;
};

struct Problem {
  ProblemType type = ProblemType::internal;
  std::string detail;              // a sentence for the person who asked
  std::vector<FieldFault> faults;  // of a body
  std::string request_id;
};

// A value, or what to answer in its place.
template <class T>
using Outcome = base::Result<T, Problem>;

// Which Errc is which type: the only such switch.
Problem to_problem(const base::Error& error);
// Wrong parts of a body, at least one.
Problem invalid_fields(std::vector<FieldFault> faults);

// RFC 9457 answers.
http::Response answer(const Problem& problem);
http::Response problem(const base::Error& error, const std::string& request_id = {});
// By status, for what http refuses by itself and for the older endpoints.
http::Response problem(int status, const std::string& detail, const std::string& request_id = {});

// 200 with a JSON body.
http::Response json_answer(std::string body);

}  // namespace sc::api
