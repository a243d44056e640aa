#include "api/auth.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <string_view>

#include "api/header_list.h"
#include "api/ui.h"
#include "api/unix_peer.h"
#include "base/authority.h"
#include "base/text.h"

namespace sc::api {
namespace {

using base::Errc;
using base::Error;
using core::Caller;
using core::Role;

// Those of plain HTTP that browsers trust (W3C Secure Contexts, section 3.1) and so mark requests
// to. Under any other that leads to loopback - 0.0.0.0, the host's own name, a name that somebody
// points here - a page's <img> looks like a request of curl.
bool is_marked_by_browsers(const std::optional<base::Authority>& host) {
  return host && base::names_loopback(*host);
}

bool is_address(const std::optional<base::Authority>& host) {
  return host && host->kind != base::Authority::Kind::name;
}

bool is_named(const std::optional<base::Authority>& host, const AuthOptions& options) {
  return host &&
         std::find(options.hosts.begin(), options.hosts.end(), host->host) != options.hosts.end();
}

// What a proxy on this host adds to others' requests (RFC 7239, RFC 9110 section 7.6.3): whoever
// asks through it is not on this host, or might not be.
bool is_passed_on(const http::Request& request) {
  constexpr std::array<const char*, 5> kHeaders{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host",
                                                "X-Real-IP", "Via"};
  return std::any_of(kHeaders.begin(), kHeaders.end(),
                     [&](const char* name) { return request.header(name) != nullptr; });
}

Error refuse_passed_on() {
  return {Errc::unauthorized,
          "a proxy passed this on: through one this API takes a token, `Authorization: Bearer "
          "sc_...`, see stream-conductor token"};
}

// What a caller on this host can do without the name or address that it used.
std::string other_ways(const AuthOptions& options) {
  const std::string local =
      options.local_url.empty() ? "" : "ask " + options.local_url + " from this host, or ";
  return local + "send `Authorization: Bearer sc_...`, see stream-conductor token";
}

// The caller may be a person at this host who asks by the host's own name, so it says what to do.
Error refuse_name(const std::string& host, const std::string& instead) {
  return {Errc::forbidden, "without a token this API refuses the Host " + base::quoted(host) +
                               ", because a web page could use that name: " + instead +
                               ", or add the name to API_HOSTS"};
}

base::Result<Caller> judge_loopback(const http::Request& request, const AuthOptions& options) {
  if (options.trust != Trust::off && is_passed_on(request)) return refuse_passed_on();
  const std::string* host = request.header("Host");
  // None at all, in HTTP/1.0, is no browser's.
  const auto named = base::parse_authority(host == nullptr ? "" : *host);
  if (host != nullptr && !is_marked_by_browsers(named) && !is_named(named, options))
    return refuse_name(*host, other_ways(options));
  return Caller{request.peer.ip(), Role::admin, std::nullopt};
}

// Browsers mark nothing here. But a page that has pointed a name of its own at us asks by that
// name, so an address, which nobody can point elsewhere, will do.
base::Result<Caller> judge_elsewhere(const http::Request& request, const AuthOptions& options) {
  const std::string* host = request.header("Host");
  const auto named = base::parse_authority(host == nullptr ? "" : *host);
  if (host != nullptr && !is_address(named) && !is_marked_by_browsers(named) &&
      !is_named(named, options))
    return refuse_name(*host, "ask by an IP address of this host");
  return Caller{request.peer.ip(), Role::admin, std::nullopt};
}

// Refuses a caller on this host that connected to another address of it than loopback. A person who
// used the host's name did not mean to, and a 401 would ask for a token that is not needed.
// The peer's address may differ from the one that the name resolves to: for a connection to a
// secondary address, the kernel takes the primary one as the source.
Error refuse_own_host(const http::Request& request, const AuthOptions& options) {
  if (is_passed_on(request)) return refuse_passed_on();
  const std::string* host = request.header("Host");
  const auto named = base::parse_authority(host == nullptr ? "" : *host);
  if (named && !named->host.empty() && !is_address(named))
    return {Errc::forbidden, base::quoted(named->host) +
                                 " resolves to an address of this host that is not loopback, "
                                 "where this API takes a token: " +
                                 other_ways(options)};
  return {Errc::unauthorized,
          "at an address of this host that is not loopback, this API takes a token: " +
              other_ways(options)};
}

constexpr std::string_view kBlanks = " \t";

// ASCII without regard to case; asked for each header several times.
bool is_same_name(std::string_view one, std::string_view other) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::equal(one.begin(), one.end(), other.begin(), other.end(),
                    [&](char a, char b) { return lower(a) == lower(b); });
}

// All values of the header, in lower case.
std::vector<std::string> values_of(const http::Request& request, std::string_view name) {
  std::vector<std::string> values;
  for (const http::Header& header : request.headers)
    if (is_same_name(header.name, name)) values.push_back(base::to_lower(header.value));
  return values;
}

// Fails where a header by which browsers mark a request has several values: no browser sends them
// so, and they may contradict each other.
base::Result<void> check_single(const http::Request& request,
                                std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names)
    if (values_of(request, name).size() > 1)
      return Error{Errc::forbidden,
                   "the header " + std::string(name) + " is given more than once; send it once"};
  return {};
}

// A link to our page, in a wiki or a chat: it becomes a tab of its own, of files that are in every
// copy of the service and that nobody can frame (no `document` is in a frame, by Sec-Fetch-Dest).
bool follows_a_link_to_our_page(const http::Request& request) {
  const auto says = [&](std::string_view name, std::string_view value) {
    const std::string* header = request.header(name);
    return header != nullptr && *header == value;
  };
  return request.method == "GET" && is_ui_path(request.path) &&
         says("Sec-Fetch-Mode", "navigate") && says("Sec-Fetch-Dest", "document");
}

// Whether the origin (RFC 6454 section 6.2) is what the Host names under this scheme. Hosts compare
// however they are written, and a port that is left out is the scheme's own.
bool is_origin_of(std::string_view origin, std::string_view scheme, std::uint16_t port,
                  std::string_view host) {
  if (!origin.starts_with(scheme)) return false;
  const auto one = base::parse_authority(origin.substr(scheme.size()));
  const auto other = base::parse_authority(host);
  return one && other && !one->host.empty() && one->kind == other->kind &&
         one->host == other->host && one->port.value_or(port) == other->port.value_or(port);
}

}  // namespace

std::string local_url(const std::vector<net::Address>& listeners) {
  for (const net::Address& each : listeners) {
    if (each.is_unix() || (!each.is_loopback() && !each.is_wildcard())) continue;
    // `localhost` does not resolve to the other addresses of 127.0.0.0/8.
    const std::string ip = each.ip();
    const bool is_other = each.is_loopback() && ip != "127.0.0.1" && ip != "::1";
    return "http://" + (is_other ? ip : "localhost") + ":" + std::to_string(each.port());
  }
  return {};
}

// Fetch Metadata (W3C): browsers say from where a request comes, to the hosts above; programs send
// no such header. A browser without it still sends Origin with what a script posts.
base::Result<void> check_page(const http::Request& request) {
  if (auto single =
          check_single(request, {"Sec-Fetch-Site", "Sec-Fetch-Mode", "Sec-Fetch-Dest", "Origin"});
      !single)
    return single;
  const std::string* site = request.header("Sec-Fetch-Site");
  if (site != nullptr && *site != "same-origin" && *site != "none" &&
      !follows_a_link_to_our_page(request))
    return Error{Errc::forbidden, "a web page of another site may not use this API"};
  const std::string* origin = request.header("Origin");
  const std::string* host = request.header("Host");
  // Behind a proxy that speaks TLS our own page has the other scheme. That it is ours is then said
  // by the browser itself, as to TLS all of them mark.
  const bool is_ours =
      origin == nullptr || (host != nullptr && (is_origin_of(*origin, "http://", 80, *host) ||
                                                (site != nullptr && *site == "same-origin" &&
                                                 is_origin_of(*origin, "https://", 443, *host))));
  if (!is_ours)
    return Error{Errc::forbidden,
                 "a web page of the origin " + base::quoted(*origin) + " may not use this API"};
  return {};
}

bool asks_for_change(const http::Request& request) {
  constexpr std::array<std::string_view, 2> kChangingGets{"createstream", "removestream"};
  if (request.method != "GET" && request.method != "HEAD" && request.method != "OPTIONS")
    return true;
  std::string_view path = request.path;
  path.remove_prefix(std::min(path.find_first_not_of('/'), path.size()));
  const auto name = base::percent_decode(path.substr(0, path.find('/')));
  return name &&
         std::find(kChangingGets.begin(), kChangingGets.end(), *name) != kChangingGets.end();
}

// Fetch Metadata again: a script's request has the mode `cors` or `same-origin` and no destination.
// `navigate` is a link, a form, a redirect or a typed address; `no-cors` an image, a prefetch or a
// download. Where browsers send no such headers, to a plain HTTP origin that is not this host,
// `Upgrade-Insecure-Requests` still marks each navigation (W3C Upgrade Insecure Requests, section
// 3.2.1).
base::Result<void> check_change(const http::Request& request) {
  // `Sec-Purpose` is the Fetch standard's, of which more words may come. The others are its
  // forerunners of WebKit and Mozilla, and names that a program may use for something else.
  constexpr std::array<std::string_view, 3> kPurposes{"Purpose", "X-Purpose", "X-Moz"};
  constexpr std::array<std::string_view, 4> kAhead{"prefetch", "prerender", "preview", "instant"};
  const auto is_given = [](const std::string& value) { return !value.empty(); };
  const auto is_ahead = [&](const std::string& value) {
    return std::any_of(kAhead.begin(), kAhead.end(), [&](std::string_view word) {
      return value.find(word) != std::string::npos;
    });
  };
  const auto has = [&](std::string_view name, const auto& is_bad) {
    const auto values = values_of(request, name);
    return std::any_of(values.begin(), values.end(), is_bad);
  };
  if (has("Sec-Purpose", is_given) ||
      std::any_of(kPurposes.begin(), kPurposes.end(),
                  [&](std::string_view name) { return has(name, is_ahead); }))
    return Error{Errc::forbidden,
                 "a browser loads this address ahead of a click: send the change from the page, "
                 "curl or a program"};
  if (auto single = check_single(request, {"Sec-Fetch-Mode", "Sec-Fetch-Dest"}); !single)
    return single;
  const bool is_script =
      !has("Sec-Fetch-Mode",
           [](const std::string& mode) {
             return !mode.empty() && mode != "cors" && mode != "same-origin";
           }) &&
      !has("Sec-Fetch-Dest", [](const std::string& to) { return !to.empty() && to != "empty"; }) &&
      request.header("Sec-Fetch-User") == nullptr &&  // of navigations alone
      request.header("Upgrade-Insecure-Requests") == nullptr;
  if (!is_script)
    return Error{Errc::forbidden,
                 "a browser opened this address, and a link can make it do that: send the change "
                 "from the page, curl or a program"};
  return {};
}

std::optional<std::string> presented_token(const http::Request& request) {
  constexpr std::string_view kScheme = "bearer";
  const auto credentials = header_list(request, "Authorization");
  if (!credentials) {  // a quoted string that does not end may hide a token
    const auto values = values_of(request, "Authorization");
    return std::any_of(
               values.begin(), values.end(),
               [&](const std::string& value) { return value.find(kScheme) != std::string::npos; })
               ? std::optional<std::string>("")
               : std::nullopt;
  }
  std::optional<std::string> found;
  for (const std::string_view each : *credentials) {
    const std::size_t end = std::min(each.find_first_of(kBlanks), each.size());
    // Credentials of another scheme, of a .netrc for one, are not for this API.
    if (base::to_lower(each.substr(0, end)) != kScheme) continue;
    if (found) return "";
    found = each.substr(std::min(each.find_first_not_of(kBlanks, end), each.size()));
  }
  return found;
}

bool is_for_everybody(const http::Request& request) {
  return request.path == "/healthz" || request.path == "/openapi.json" || is_ui_path(request.path);
}

base::Result<Caller> judge_without_token(const http::Request& request, const AuthOptions& options) {
  if (request.peer.is_unix()) {
    if (!request.credentials) return Error{Errc::forbidden, "the peer's uid is not known"};
    return judge_unix_peer(*request.credentials, options);
  }
  if (request.peer.is_loopback() && options.trust != Trust::always)
    return judge_loopback(request, options);
  if (options.trust == Trust::off) return judge_elsewhere(request, options);
  if (options.trust == Trust::remote && options.is_own_address &&
      options.is_own_address(request.peer))
    return refuse_own_host(request, options);
  return Error{Errc::unauthorized,
               options.trust == Trust::always
                   ? "this API takes a token: `Authorization: Bearer sc_...`, see "
                     "stream-conductor token"
                   : "from other hosts this API takes a token: `Authorization: Bearer sc_...`, see "
                     "stream-conductor token"};
}

}  // namespace sc::api
