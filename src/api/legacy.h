#pragma once

#include "api/routes.h"
#include "core/conductor.h"

namespace sc::api {

// The endpoints of the service that this one replaces, all GET, with its quirks, which live here
// and nowhere else: errors are answered with 200 and say so in the body, a stream that is not there
// is
// `"error": "not found"`, true and false are texts. Who may not is told so by a status: the
// original let everybody in, so there is no reply to keep. The conductor outlives the routes.
// Control thread.
void add_legacy_routes(Routes& routes, core::Conductor& conductor);

}  // namespace sc::api
