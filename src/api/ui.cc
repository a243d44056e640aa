#include "api/ui.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "api/etag.h"
#include "api/problem.h"

namespace sc::api {
namespace {

constexpr std::string_view kIndex = "index.html";
constexpr std::string_view kFolder = "/ui/";

// Everything comes from here, and scripts and styles from files alone, so that a text of a stream
// or a client's address cannot become code. Trusted Types has the browser refuse what would parse a
// text as HTML. Nobody frames it: a click on it is a click that was meant.
constexpr std::string_view kPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'";

http::Response answer_with(const UiFile& file, const std::string& tag, bool is_known) {
  http::Response response;
  response.content_type = file.content_type;
  response.headers = {
      {"ETag", tag},
      // Asked for again each time: an upgrade must not mix its files with those of before.
      {"Cache-Control", "no-cache"},
      {"Content-Security-Policy", std::string(kPolicy)},
      {"X-Content-Type-Options", "nosniff"},
      {"Referrer-Policy", "no-referrer"},
      {"Cross-Origin-Opener-Policy", "same-origin"},
      {"Cross-Origin-Resource-Policy", "same-origin"},
  };
  if (is_known) {
    response.status = 304;
  } else {
    response.body = file.content;
  }
  return response;
}

Routes::Handler serving(const UiFile& file) {
  return [&file, tag = tag_of(file.content)](const http::Request& request, const http::Params&,
                                             const core::Caller&, http::Responder responder) {
    const auto conditions = Conditions::read(request);
    if (!conditions) {
      Problem refused = conditions.error();
      refused.request_id = request.id;
      responder.respond(answer(refused));
    } else if (auto fits = conditions->check_match(tag); !fits) {
      responder.respond(problem(fits.error(), request.id));
    } else {
      responder.respond(answer_with(file, tag, conditions->is_known(tag)));
    }
  };
}

}  // namespace

bool is_ui_path(std::string_view path) {
  if (path == "/" || path == "/ui") return true;
  if (!path.starts_with(kFolder)) return false;
  path.remove_prefix(kFolder.size());
  const auto files = ui_files();
  return std::any_of(files.begin(), files.end(),
                     [&](const UiFile& file) { return file.name == path && path != kIndex; });
}

void add_ui_routes(Routes& routes) {
  for (const UiFile& file : ui_files()) {
    if (file.name == kIndex) {
      routes.handle("GET", "/", serving(file));
      routes.handle("GET", "/ui", serving(file));
    } else {
      routes.handle("GET", std::string(kFolder).append(file.name), serving(file));
    }
  }
}

}  // namespace sc::api
