#pragma once

#include "api/auth.h"
#include "core/conductor.h"
#include "http/router.h"

namespace sc::api {

// The endpoints of the service that this one replaces, all GET, with its quirks, which live here
// and nowhere else: errors are answered with 200 and say so in the body, a stream that is not there
// is
// `"error": "not found"`, true and false are texts. The conductor outlives the router. Control
// thread.
void add_legacy_routes(http::Router& router, core::Conductor& conductor, const AuthOptions& auth);

}  // namespace sc::api
