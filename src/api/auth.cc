#include "api/auth.h"

#include <optional>
#include <string_view>

#include "base/text.h"

namespace sc::api {
namespace {

using base::Errc;
using base::Error;

// The host of `host:port`, `[v6]:port` or either without a port; in lower case, no brackets.
std::string host_of(std::string_view authority) {
  if (authority.starts_with('[')) {
    const std::size_t close = authority.find(']');
    return base::to_lower(authority.substr(1, close == std::string_view::npos ? close : close - 1));
  }
  return base::to_lower(authority.substr(0, authority.find(':')));
}

// Those of plain HTTP that browsers trust (W3C Secure Contexts, section 3.1) and so mark requests
// to. Under any other that leads to loopback - 0.0.0.0, the host's own name, a name that somebody
// points here - a page's <img> looks like a request of curl.
bool is_marked_by_browsers(std::string_view host) {
  return host == "localhost" || host.ends_with(".localhost") || host == "::1" ||
         (host.starts_with("127.") && base::is_ip_literal(host));
}

// Fetch Metadata (W3C): browsers say from where a request comes, to the hosts above; programs send
// no such header. A browser without it still sends Origin with what a script posts.
std::optional<Error> check_page(const http::Request& request) {
  const std::string* site = request.header("Sec-Fetch-Site");
  if (site != nullptr && *site != "same-origin" && *site != "none")
    return Error{Errc::forbidden, "a web page of another site may not use this API"};
  const std::string* origin = request.header("Origin");
  const std::string* host = request.header("Host");
  if (origin != nullptr && (host == nullptr || *origin != "http://" + *host))
    return Error{Errc::forbidden,
                 "a web page of the origin " + base::quoted(*origin) + " may not use this API"};
  return std::nullopt;
}

}  // namespace

base::Result<std::string> authorize(const http::Request& request, const AuthOptions& options) {
  if (auto refused = check_page(request)) return *refused;
  if (request.peer.is_unix()) {
    if (!request.credentials) return Error{Errc::forbidden, "the peer's uid is not known"};
    return "uid " + std::to_string(request.credentials->uid);
  }
  if (!request.peer.is_loopback()) {
    if (!options.remote_needs_token) return request.peer.ip();
    return Error{Errc::unauthorized,
                 "only the loopback addresses and the unix socket may use this API; it has no "
                 "tokens yet, and API_AUTH=off lets everybody in"};
  }
  const std::string* host = request.header("Host");
  // None at all, in HTTP/1.0, is no browser's.
  if (host != nullptr && !is_marked_by_browsers(host_of(*host)))
    return Error{Errc::forbidden, "under the Host " + base::quoted(*host) +
                                      " a web page could ask: ask localhost or 127.0.0.1"};
  return request.peer.ip();
}

}  // namespace sc::api
