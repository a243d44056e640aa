#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/caller.h"
#include "http/router.h"

namespace sc::api {

// A Router whose handlers are told who asks. One thread.
class Routes {
 public:
  using Handler = std::function<void(const http::Request&, const http::Params&, const core::Caller&,
                                     http::Responder)>;

  // What a request to a route does.
  enum class Effect : unsigned char {
    reads,    // a browser may open it
    changes,  // takes no HEAD, and nothing that a browser does by itself: see check_change()
  };

  explicit Routes(http::ErrorBody error_body) : router_(std::move(error_body)) {}
  Routes(const Routes&) = delete;
  Routes& operator=(const Routes&) = delete;

  // As Router::handle. The caller is valid until the handler returns. A GET reads and any other
  // method changes, unless `effect` differs.
  void handle(std::string method, std::string_view pattern, Handler handler,
              std::optional<Effect> effect = std::nullopt,
              http::Slashes slashes = http::Slashes::exact);

  // Where a Gate goes on, with the head of a request. The body of a change is read once nothing in
  // the head speaks against it. A body of what only reads is not looked at.
  void route(const http::Request& request, const core::Caller& caller, http::Responder responder);

 private:
  void start_change(const Handler& handler, const http::Request& request,
                    const http::Params& params, http::Responder responder);

  http::Router router_;
  const core::Caller* caller_ = nullptr;  // during route()
};

}  // namespace sc::api
