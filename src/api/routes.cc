#include "api/routes.h"

#include <utility>

namespace sc::api {

void Routes::handle(std::string method, std::string_view pattern, Handler handler) {
  router_.handle(
      std::move(method), pattern,
      [this, handler = std::move(handler)](const http::Request& request, const http::Params& params,
                                           http::Responder responder) {
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
