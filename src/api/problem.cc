#include "api/problem.h"

#include <utility>

#include "api/json.h"

namespace sc::api {
namespace {

int to_status(base::Errc code) {
  switch (code) {
    case base::Errc::invalid:
      return 422;
    case base::Errc::not_found:
      return 404;
    case base::Errc::conflict:
    case base::Errc::in_use:
      return 409;
    case base::Errc::precondition:
      return 412;
    case base::Errc::unauthorized:
      return 401;
    case base::Errc::forbidden:
      return 403;
    case base::Errc::unavailable:
      return 503;
    case base::Errc::internal:
      return 500;
  }
  return 500;
}

}  // namespace

http::Response problem(int status, const std::string& detail) {
  http::Response response;
  response.status = status;
  response.content_type = "application/problem+json";
  response.body = problem_json(status, http::reason_phrase(status), detail);
  // RFC 9110 section 11.6.1: a 401 names a scheme.
  if (status == 401) response.headers.push_back({"WWW-Authenticate", "Bearer"});
  // Who may not use the API keeps no place of those who may.
  response.close = status == 401 || status == 403;
  return response;
}

http::Response problem(const base::Error& error) {
  return problem(to_status(error.code), error.message);
}

http::Response json_answer(std::string body) {
  http::Response response;
  response.content_type = "application/json";
  response.body = std::move(body);
  return response;
}

}  // namespace sc::api
