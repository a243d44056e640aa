#include "api/routes.h"

#include <utility>

#include "api/auth.h"
#include "api/problem.h"

namespace sc::api {
namespace {

std::optional<http::Response> refuse_change(const http::Request& request) {
  if (request.method == "HEAD") {
    http::Response response = problem(405, "HEAD changes nothing; GET does", request.id);
    response.headers.push_back({"Allow", "GET"});
    return response;
  }
  if (auto may = check_change(request); !may) return problem(may.error(), request.id);
  return std::nullopt;
}

}  // namespace

void Routes::handle(std::string method, std::string_view pattern, Handler handler,
                    std::optional<Effect> effect) {
  const bool changes =
      effect.value_or(method == "GET" ? Effect::reads : Effect::changes) == Effect::changes;
  router_.handle(
      std::move(method), pattern,
      [this, changes, handler = std::move(handler)](
          const http::Request& request, const http::Params& params, http::Responder responder) {
        auto refused = changes ? refuse_change(request) : std::nullopt;
        if (refused) return responder.respond(std::move(*refused));
        handler(request, params, *caller_, std::move(responder));
      });
}

void Routes::route(const http::Request& request, const core::Caller& caller,
                   http::Responder responder) {
  // Put back, as an answer may bring the client's next request from inside.
  const core::Caller* before = std::exchange(caller_, &caller);
  router_.route(request, std::move(responder));
  caller_ = before;
}

}  // namespace sc::api
