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

using core::Caller;

// For what changes nothing.
using Read = std::function<void(const Params&, const Caller&, Responder)>;

Routes::Handler reading(Read read) {
  return [read = std::move(read)](const Request&, const Params& params, const Caller& caller,
                                  Responder responder) {
    if (auto may = core::check_may_read(caller); !may) {
      responder.respond(problem(may.error()));
    } else {
      read(params, caller, std::move(responder));
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
            const Caller& caller, Responder responder) {
  const std::string& port = params["port"];
  if (!is_number(port)) return answer_no_route(responder, port);
  const auto spec = core::make_spec(port, params["backend"]);
  if (!spec) {
    responder.respond(json_answer(legacy_error_json(spec.error().message)));
    return;
  }
  if (auto may = core::check_may_change(caller, spec->port); !may) {
    responder.respond(problem(may.error()));
    return;
  }
  conductor.create(
      *spec, actor, [held = std::move(responder)](const base::Result<core::Stream>& done) mutable {
        held.respond(
            json_answer(done ? legacy_ok_json() : legacy_error_json(done.error().message)));
      });
}

void remove(core::Conductor& conductor, const Params& params, const core::Actor& actor,
            const Caller& caller, Responder responder) {
  const std::string& text = params["port"];
  if (!is_number(text)) return answer_no_route(responder, text);
  const auto port = base::parse_port(text);
  if (!port) {
    responder.respond(json_answer(legacy_not_found_json()));
    return;
  }
  if (auto may = core::check_may_change(caller, *port); !may) {
    responder.respond(problem(may.error()));
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

// Scripts that join addresses send `//status` and `/status/`: they mean `/status`.
void add_legacy_routes(Routes& routes, core::Conductor& conductor) {
  const auto get = [&](const char* pattern, Routes::Handler handler) {
    routes.handle("GET", pattern, std::move(handler), std::nullopt, http::Slashes::lenient);
  };
  const auto change = [&](const char* pattern, Routes::Handler handler) {
    routes.handle("GET", pattern, std::move(handler), Routes::Effect::changes,
                  http::Slashes::lenient);
  };
  get("/status", reading([&conductor](const Params&, const Caller&, Responder responder) {
        responder.respond(json_answer(legacy_status_json(conductor.ports())));
      }));
  get("/getstreams", reading([&conductor](const Params&, const Caller&, Responder responder) {
        responder.respond(json_answer(legacy_streams_json(conductor.list())));
      }));
  change("/createstream/{port}/{backend}",
         [&conductor](const Request& request, const Params& params, const Caller& caller,
                      Responder responder) {
           create(conductor, params, {caller.name, request.id}, caller, std::move(responder));
         });
  change("/removestream/{port}", [&conductor](const Request& request, const Params& params,
                                              const Caller& caller, Responder responder) {
    remove(conductor, params, {caller.name, request.id}, caller, std::move(responder));
  });
  get("/hasstream/{port}",
      reading([&conductor](const Params& params, const Caller&, Responder responder) {
        const std::string& text = params["port"];
        if (!is_number(text)) return answer_no_route(responder, text);
        const auto port = base::parse_port(text);
        responder.respond(json_answer(legacy_has_json(port && conductor.find(*port) != nullptr)));
      }));
  // One that the caller may have.
  get("/getfreeport",
      reading([&conductor](const Params&, const Caller& caller, Responder responder) {
        const auto port = conductor.free_port(
            [&](std::uint16_t each) { return core::check_may_change(caller, each); });
        responder.respond(
            json_answer(port ? legacy_port_json(*port) : legacy_none_available_json()));
      }));
}

}  // namespace sc::api
