#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/caller.h"
#include "http/message.h"
#include "http/responder.h"
#include "http/router.h"

namespace sc::api {

// Answers a request of somebody who is known.
using Handler = std::function<void(const http::Request&, const http::Params&, const core::Caller&,
                                   http::Responder)>;

// An endpoint, to be put behind the gate that finds out who asks. A value.
struct Route {
  std::string method;
  std::string pattern;   // as http::Router takes it
  bool is_open = false;  // for everybody who is no web page: tells nothing of the streams
  Handler handler;
};
using Routes = std::vector<Route>;

}  // namespace sc::api
