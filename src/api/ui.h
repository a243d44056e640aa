#pragma once

#include <span>
#include <string_view>

#include "api/routes.h"

// The page for browsers: static files of src/api/ui/, which know no more than the API's
// description does. Whatever the page shows it asks of v1, as its user.
namespace sc::api {

struct UiFile {
  std::string_view name;  // `app.js`, served as /ui/app.js; `index.html` is / and /ui
  std::string_view content_type;
  std::string_view content;
};

// As they were when this was built.
std::span<const UiFile> ui_files();

// Is it one of the page's own paths, whole and as they are written?
bool is_ui_path(std::string_view path);

// Control thread.
void add_ui_routes(Routes& routes);

}  // namespace sc::api
