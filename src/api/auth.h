#pragma once

#include <string>

#include "base/result.h"
#include "http/message.h"

namespace sc::api {

struct AuthOptions {
  bool remote_needs_token = true;  // API_AUTH=remote
};

// Who asks, as it stands in history: `127.0.0.1`, or `uid 1000` for a peer of the unix socket.
//
// unauthorized: the peer is on another host. forbidden: a web page asks. Every endpoint is judged
// alike, because the original's GETs change state: a page can send them by an <img>, or under a
// name of its own that it has pointed at this host (DNS rebinding). So a peer on loopback has to
// ask by a Host to which browsers say that it is a page.
base::Result<std::string> authorize(const http::Request& request, const AuthOptions& options);

}  // namespace sc::api
