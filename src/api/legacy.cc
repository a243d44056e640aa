#include "api/legacy.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <utility>

#include "api/json.h"
#include "api/problem.h"
#include "base/text.h"

namespace sc::api {
namespace {

using http::Params;
using http::Request;
using http::Responder;

using Handler = std::function<void(const Params&, const core::Actor& actor, Responder)>;

// Who may not is told so by a status: the original let everybody in, so there is no reply to keep.
http::Router::RouteHandler guarded(AuthOptions auth, Handler handler) {
  return [auth, handler = std::move(handler)](const Request& request, const Params& params,
                                              Responder responder) {
    if (const auto actor = authorize(request, auth)) {
      handler(params, {*actor, request.id}, std::move(responder));
    } else {
      responder.respond(problem(actor.error()));
    }
  };
}

// The original's routes took digits for a port, and anything else was no route.
bool is_number(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

void answer_no_route(Responder& responder, const std::string& port) {
  responder.respond(problem(404, base::quoted(port) + " is not a port"));
}

void create(core::Conductor& conductor, const Params& params, const core::Actor& actor,
            Responder responder) {
  const std::string& port = params["port"];
  if (!is_number(port)) return answer_no_route(responder, port);
  const auto spec = core::make_spec(port, params["backend"]);
  if (!spec) {
    responder.respond(json_answer(legacy_error_json(spec.error().message)));
    return;
  }
  conductor.create(
      *spec, actor, [held = std::move(responder)](const base::Result<core::Stream>& done) mutable {
        held.respond(
            json_answer(done ? legacy_ok_json() : legacy_error_json(done.error().message)));
      });
}

void remove(core::Conductor& conductor, const Params& params, const core::Actor& actor,
            Responder responder) {
  const std::string& text = params["port"];
  if (!is_number(text)) return answer_no_route(responder, text);
  const auto port = base::parse_port(text);
  if (!port) {
    responder.respond(json_answer(legacy_not_found_json()));
    return;
  }
  conductor.remove(*port, actor, std::nullopt, {},
                   [held = std::move(responder)](const base::Result<void>& done) mutable {
                     if (done) {
                       held.respond(json_answer(legacy_ok_json()));
                     } else if (done.error().code == base::Errc::not_found) {
                       held.respond(json_answer(legacy_not_found_json()));
                     } else {
                       held.respond(json_answer(legacy_error_json(done.error().message)));
                     }
                   });
}

}  // namespace

void add_legacy_routes(http::Router& router, core::Conductor& conductor, const AuthOptions& auth) {
  const auto get = [&](const char* pattern, Handler handler) {
    router.handle("GET", pattern, guarded(auth, std::move(handler)));
  };
  get("/status", [&conductor](const Params&, const core::Actor&, Responder responder) {
    responder.respond(json_answer(legacy_status_json(conductor.ports())));
  });
  get("/getstreams", [&conductor](const Params&, const core::Actor&, Responder responder) {
    responder.respond(json_answer(legacy_streams_json(conductor.list())));
  });
  get("/createstream/{port}/{backend}",
      [&conductor](const Params& params, const core::Actor& actor, Responder responder) {
        create(conductor, params, actor, std::move(responder));
      });
  get("/removestream/{port}",
      [&conductor](const Params& params, const core::Actor& actor, Responder responder) {
        remove(conductor, params, actor, std::move(responder));
      });
  get("/hasstream/{port}",
      [&conductor](const Params& params, const core::Actor&, Responder responder) {
        const std::string& text = params["port"];
        if (!is_number(text)) return answer_no_route(responder, text);
        const auto port = base::parse_port(text);
        responder.respond(json_answer(legacy_has_json(port && conductor.find(*port) != nullptr)));
      });
  get("/getfreeport", [&conductor](const Params&, const core::Actor&, Responder responder) {
    const auto port = conductor.free_port();
    responder.respond(json_answer(port ? legacy_port_json(*port) : legacy_none_available_json()));
  });
}

}  // namespace sc::api
