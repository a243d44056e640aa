#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/answer_counts.h"
#include "http/message.h"
#include "http/responder.h"

namespace sc::http {

// What stood in a path where its pattern has `{name}`, percent-decoded; never empty.
class Params {
 public:
  void add(std::string name, std::string value) {
    values_.emplace_back(std::move(name), std::move(value));
  }
  // Asking for a name that the pattern does not have is a bug.
  const std::string& operator[](std::string_view name) const;

 private:
  std::vector<std::pair<std::string, std::string>> values_;
};

// Whether a pattern also takes paths with empty segments, `//status` and `/status/`.
enum class Slashes : unsigned char { exact, lenient };

// Finds the handler for a request by method and path, and answers by itself where there is none:
// 404, 405 with Allow, 501, OPTIONS, and 400 for a path that does not decode. One thread.
class Router {
 public:
  using RouteHandler = std::function<void(const Request&, const Params&, Responder)>;

  explicit Router(ErrorBody error_body = plain_error) : error_body_(std::move(error_body)) {}

  // `/createstream/{port}/{backend}`: a `{name}` stands for one segment, or for one but its end:
  // `/streams/{port}:check`. GET answers HEAD too. The first pattern that fits a path and method
  // wins; one with such an end goes before all without.
  void handle(std::string method, std::string_view pattern, RouteHandler handler,
              Slashes slashes = Slashes::exact);

  // A server's Handler.
  void route(const Request& request, Responder responder) const;

 private:
  struct Route {
    RouteName name;
    std::vector<std::string> segments;  // of the pattern
    RouteHandler handler;
    bool has_end = false;
    Slashes slashes = Slashes::exact;
  };

  static std::optional<Params> match(const Route& route, const std::vector<std::string>& segments);
  void answer_unmatched(const Request& request, const std::vector<std::string>& allowed,
                        Responder responder) const;
  void answer_options_of_all(Responder responder) const;

  ErrorBody error_body_;
  std::vector<Route> routes_;
};

}  // namespace sc::http
