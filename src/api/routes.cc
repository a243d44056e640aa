#include "api/routes.h"

#include <utility>

#include "api/auth.h"
#include "api/problem.h"

namespace sc::api {
namespace {

// What is known of a change before its body is read.
std::optional<http::Response> refuse_change(const http::Request& request,
                                            const core::Caller& caller) {
  if (request.method == "HEAD") {
    http::Response response = problem(405, "HEAD changes nothing; GET does", request.id);
    response.headers.push_back({"Allow", "GET"});
    return response;
  }
  if (auto may = check_change(request); !may) return problem(may.error(), request.id);
  if (!request.has_body) return std::nullopt;
  const core::Caller of_any_port{caller.name, caller.role, std::nullopt, {}};
  if (auto may = core::check_may_change(of_any_port, 1); !may)
    return problem(may.error(), request.id);
  return std::nullopt;
}

}  // namespace

void Routes::handle(std::string method, std::string_view pattern, Handler handler,
                    std::optional<Effect> effect, http::Slashes slashes) {
  const bool changes =
      effect.value_or(method == "GET" ? Effect::reads : Effect::changes) == Effect::changes;
  router_.handle(
      std::move(method), pattern,
      [this, changes, handler = std::move(handler)](
          const http::Request& request, const http::Params& params, http::Responder responder) {
        if (changes) {
          start_change(handler, request, params, std::move(responder));
        } else {
          handler(request, params, *caller_, std::move(responder));
        }
      },
      slashes);
}

void Routes::start_change(const Handler& handler, const http::Request& request,
                          const http::Params& params, http::Responder responder) {
  if (auto refused = refuse_change(request, *caller_)) {
    responder.respond(std::move(*refused));
  } else if (!request.has_body) {
    handler(request, params, *caller_, std::move(responder));
  } else {
    responder.read_body(request, [&handler, params, caller = *caller_](const http::Request& whole,
                                                                       http::Responder held) {
      handler(whole, params, caller, std::move(held));
    });
  }
}

void Routes::route(const http::Request& request, const core::Caller& caller,
                   http::Responder responder) {
  // Put back, as an answer may bring the client's next request from inside.
  const core::Caller* before = std::exchange(caller_, &caller);
  router_.route(request, std::move(responder));
  caller_ = before;
}

}  // namespace sc::api
