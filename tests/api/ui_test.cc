#include "api/ui.h"

#include <algorithm>
#include <regex>
#include <set>
#include <string>

#include "api/served_v1.h"
#include "support/catch.h"

namespace sc::api {
namespace {

// The page beside v1, as in the service.
struct ServedUi : test::ServedV1 {
  ServedUi() { add_ui_routes(routes); }

  test::Answer get(const std::string& path, const std::string& headers = "") {
    return ask("GET", path, "", headers);
  }
};

std::string path_of(const UiFile& file) {
  return file.name == "index.html" ? "/" : "/ui/" + std::string(file.name);
}

// What the first group of each match is.
std::set<std::string> found(std::string_view text, const char* pattern) {
  const std::string all(text);
  const std::regex regex(pattern);
  std::set<std::string> groups;
  for (std::sregex_iterator at(all.begin(), all.end(), regex), end; at != end; ++at)
    groups.insert((*at)[1].str());
  return groups;
}

bool ends_with(const UiFile& file, std::string_view suffix) { return file.name.ends_with(suffix); }

TEST_CASE("each file of the page is served as it is, with its type") {
  ServedUi ui;
  REQUIRE(ui_files().size() > 10);
  for (const UiFile& file : ui_files()) {
    INFO(file.name);
    const test::Answer answer = ui.get(path_of(file));
    CHECK(answer.status == 200);
    CHECK(answer.body == file.content);
    CHECK(answer.header_or_none("Content-Type") == file.content_type);
    CHECK(is_ui_path(path_of(file)));
  }
  CHECK(ui.get("/").body == ui.get("/ui").body);
  CHECK(ui.get("/").header_or_none("Content-Type") == "text/html; charset=utf-8");
  CHECK(ui.get("/ui/app.js").header_or_none("Content-Type") == "text/javascript; charset=utf-8");
  for (const char* path : {"/ui/", "/ui/none.js", "/ui/index.html", "/app.js"}) {
    CHECK(ui.get(path).status == 404);
    CHECK_FALSE(is_ui_path(path));
  }
}

TEST_CASE(
    "every file says that nothing but this origin's files may run, load, frame or be sent to") {
  ServedUi ui;
  for (const UiFile& file : ui_files()) {
    for (const char* headers : {"", "If-None-Match: *\r\n"}) {
      INFO(file.name << headers);
      const test::Answer answer = ui.get(path_of(file), headers);
      CHECK(answer.header_or_none("Content-Security-Policy") ==
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
            "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
            "require-trusted-types-for 'script'; trusted-types 'none'");
      CHECK(answer.header_or_none("X-Content-Type-Options") == "nosniff");
      CHECK(answer.header_or_none("Referrer-Policy") == "no-referrer");
      CHECK(answer.header_or_none("Cache-Control") == "no-cache");
      CHECK(answer.header_or_none("Cross-Origin-Resource-Policy") == "same-origin");
    }
  }
}

TEST_CASE("a browser that has a file is told so by its tag, and each file has its own") {
  ServedUi ui;
  std::set<std::string> tags;
  for (const UiFile& file : ui_files()) {
    INFO(file.name);
    const std::string tag = ui.get(path_of(file)).header_or_none("ETag");
    CHECK(tags.insert(tag).second);
    const test::Answer known = ui.get(path_of(file), "If-None-Match: \"x\", W/" + tag + "\r\n");
    CHECK(known.status == 304);
    CHECK(known.body.empty());
    CHECK(known.header_or_none("ETag") == tag);
    CHECK(ui.get(path_of(file), "If-None-Match: \"x\"\r\n").status == 200);
  }
  CHECK(ui.get("/", "If-Match: \"x\"\r\n").status == 412);
  CHECK(ui.get("/", "If-None-Match: x\r\n").status == 400);
}

TEST_CASE("the page can be asked for its head, and for nothing else") {
  ServedUi ui;
  const test::Answer head = ui.ask("HEAD", "/ui/app.js");
  CHECK(head.status == 200);
  CHECK(head.body.empty());
  CHECK(head.header_or_none("Content-Length") == std::to_string(ui.get("/ui/app.js").body.size()));
  for (const char* method : {"POST", "PUT", "DELETE"}) {
    CHECK(ui.ask(method, "/").status == 405);
    CHECK(ui.ask(method, "/ui/app.js").header_or_none("Allow") == "GET, HEAD");
  }
}

TEST_CASE("the page refers to files that there are, and to no other host") {
  const auto files = ui_files();
  std::set<std::string> referred{"/"};
  for (const UiFile& file : files) {
    INFO(file.name);
    for (const std::string& host : found(file.content, "https?://([^/\"' ]*)"))
      CHECK(host == "www.w3.org");  // the name space of SVG
    if (ends_with(file, ".js"))
      for (const std::string& name : found(file.content, "from \"\\./([a-z_]+\\.js)\""))
        referred.insert("/ui/" + name);
    if (ends_with(file, ".html"))
      referred.merge(found(file.content, "(?:src|href)=\"(/ui/[^\"]*)\""));
  }
  std::set<std::string> served;
  for (const UiFile& file : files) served.insert(path_of(file));
  CHECK(referred == served);  // nothing is missing, and nothing is left over
}

// The policy would only be seen to forbid it in a browser.
TEST_CASE("no script or style stands within the page, and no text becomes HTML") {
  for (const UiFile& file : ui_files()) {
    INFO(file.name);
    if (ends_with(file, ".html")) {
      CHECK(found(file.content, "(<script(?![^>]*src=)|<style|\\sstyle=|\\son[a-z]+=)").empty());
    } else if (ends_with(file, ".js")) {
      CHECK(found(file.content,
                  "(innerHTML|outerHTML|insertAdjacentHTML|document\\.write|"
                  "eval\\(|Function\\(|srcdoc|setHTML|DOMParser)")
                .empty());
      CHECK(found(file.content, "(localStorage|sessionStorage|indexedDB|cookie\\s*=|caches\\.)")
                .empty());
    }
  }
}

}  // namespace
}  // namespace sc::api
