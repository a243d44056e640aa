#include "api/ui.h"

#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <utility>

#include "api/etag.h"
#include "api/problem.h"
#include "base/text.h"

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

struct Served {
  const UiFile* file;
  std::string tag;
};

void serve(const Served& served, const http::Request& request, http::Responder responder) {
  const auto conditions = Conditions::read(request);
  if (!conditions) {
    Problem refused = conditions.error();
    refused.request_id = request.id;
    responder.respond(answer(refused));
  } else if (auto fits = conditions->check_match(served.tag); !fits) {
    responder.respond(problem(fits.error(), request.id));
  } else {
    responder.respond(answer_with(*served.file, served.tag, conditions->is_known(served.tag)));
  }
}

const UiFile* find(std::string_view name) {
  const auto files = ui_files();
  const auto found =
      std::find_if(files.begin(), files.end(), [&](const auto& file) { return file.name == name; });
  return found == files.end() ? nullptr : &*found;
}

}  // namespace

bool is_ui_path(std::string_view path) {
  if (path == "/" || path == "/ui") return true;
  if (!path.starts_with(kFolder)) return false;
  path.remove_prefix(kFolder.size());
  return path != kIndex && find(path) != nullptr;
}

void add_ui_routes(Routes& routes) {
  using http::Params;
  using http::Request;
  using http::Responder;
  for (const char* path : {"/", "/ui"}) {
    const UiFile* index = find(kIndex);
    routes.handle("GET", path,
                  [served = Served{index, tag_of(index->content)}](
                      const Request& request, const Params&, const core::Caller&,
                      Responder responder) { serve(served, request, std::move(responder)); });
  }
  std::map<std::string, Served, std::less<>> others;
  for (const UiFile& file : ui_files())
    if (file.name != kIndex) others.emplace(file.name, Served{&file, tag_of(file.content)});
  // One route for all of them, as requests are counted by their route.
  routes.handle("GET", "/ui/{file}",
                [others = std::move(others)](const Request& request, const Params& params,
                                             const core::Caller&, Responder responder) {
                  const auto found = others.find(params["file"]);
                  if (found == others.end()) {
                    responder.respond(problem(
                        404, "the page has no file " + base::quoted(params["file"]), request.id));
                  } else {
                    serve(found->second, request, std::move(responder));
                  }
                });
}

}  // namespace sc::api
