#include "http/request_head.h"

#include <algorithm>
#include <optional>

#include "base/authority.h"
#include "base/text.h"

namespace sc::http {
namespace {

constexpr std::string_view kLineEnd = "\r\n";

bool is_alnum(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_token_char);
}

// Visible ASCII but for '#': a fragment is never sent (RFC 9112 section 3.2).
bool is_target_char(char c) { return c > 0x20 && c < 0x7f && c != '#'; }

// RFC 9112 section 2.3.
bool is_version(std::string_view text) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  return text.size() == 8 && text.starts_with("HTTP/") && is_digit(text[5]) && text[6] == '.' &&
         is_digit(text[7]);
}

ParseError bad(std::string detail) { return {400, std::move(detail)}; }

std::string_view trim(std::string_view text) {
  const auto is_blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

// Fills path and query; an absolute target's authority goes to `authority`.
std::optional<ParseError> split_target(Request& request, std::optional<std::string>& authority) {
  std::string_view rest = request.target;
  if (request.method == "CONNECT") return std::nullopt;  // names an authority, no resource
  if (rest == "*" && request.method == "OPTIONS") {
    request.path = "*";
    return std::nullopt;
  }
  if (!rest.starts_with('/')) {
    const std::string scheme = base::to_lower(rest.substr(0, rest.find("://")));
    if (scheme != "http" && scheme != "https")
      return bad("the request target is neither a path nor a http URL");
    rest.remove_prefix(scheme.size() + 3);
    const std::size_t end = std::min(rest.find_first_of("/?"), rest.size());
    authority = std::string(rest.substr(0, end));
    const auto parsed = base::parse_authority(*authority);
    if (!parsed || parsed->host.empty()) return bad("the request target's host is malformed");
    rest.remove_prefix(end);
  }
  const std::size_t mark = rest.find('?');
  request.path = std::string(rest.substr(0, mark));
  if (request.path.empty()) request.path = "/";
  if (mark != std::string_view::npos) request.query = std::string(rest.substr(mark + 1));
  return std::nullopt;
}

// `METHOD SP target SP HTTP/1.x`, one space each.
std::optional<ParseError> read_request_line(Request& request, std::string_view line) {
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last)
    return bad("the request line is not `method target version`");
  const std::string_view method = line.substr(0, first);
  const std::string_view target = line.substr(first + 1, last - first - 1);
  const std::string_view version = line.substr(last + 1);
  if (!is_token(method)) return bad("the method is malformed");
  if (target.empty() || !std::all_of(target.begin(), target.end(), is_target_char))
    return bad("the request target has characters that must be percent-encoded");
  if (version != "HTTP/1.1" && version != "HTTP/1.0") {
    if (!is_version(version)) return bad("the request line does not end in a version of HTTP");
    return ParseError{505, "HTTP/1.1 and HTTP/1.0 are spoken here"};
  }
  request.method = std::string(method);
  request.target = std::string(target);
  request.minor_version = version.back() - '0';
  return std::nullopt;
}

std::optional<ParseError> read_header(Request& request, std::string_view line) {
  if (line.front() == ' ' || line.front() == '\t') return bad("a header is folded over two lines");
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return bad("a header has no colon");
  const std::string_view name = line.substr(0, colon);
  if (!is_token(name)) return bad("a header's name is malformed: " + base::quoted(name));
  const std::string_view value = trim(line.substr(colon + 1));
  if (!std::all_of(value.begin(), value.end(), is_value_char))
    return bad("the header " + std::string(name) + " has control characters");
  request.headers.push_back({std::string(name), std::string(value)});
  return std::nullopt;
}

// RFC 9112 section 3.2: exactly one, well-formed; HTTP/1.0 may leave it out.
std::optional<ParseError> check_host(Request& request,
                                     const std::optional<std::string>& authority) {
  Header* host = nullptr;
  for (Header& header : request.headers) {
    if (base::to_lower(header.name) != "host") continue;
    if (host != nullptr) return bad("there is more than one Host header");
    host = &header;
  }
  if (host == nullptr && request.minor_version == 1) return bad("the Host header is missing");
  if (host != nullptr && !base::parse_authority(host->value))
    return bad("the Host header is malformed");
  if (host != nullptr && authority) host->value = *authority;
  return std::nullopt;
}

}  // namespace

std::variant<Request, ParseError> parse_head(std::string_view head) {
  Request request;
  std::optional<std::string> authority;
  for (bool first = true;; first = false) {
    const std::size_t end = head.find_first_of(kLineEnd);
    if (end == std::string_view::npos || head.substr(end, 2) != kLineEnd)
      return bad("a line of the head does not end in CR LF");
    const std::string_view line = head.substr(0, end);
    head.remove_prefix(end + 2);
    if (line.empty() && !first) break;
    if (auto error = first ? read_request_line(request, line) : read_header(request, line))
      return *error;
  }
  if (!head.empty()) return bad("the head goes on behind its empty line");
  if (auto error = split_target(request, authority)) return *error;
  if (auto error = check_host(request, authority)) return *error;
  return request;
}

bool is_value_char(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
}

bool is_token_char(char c) {
  return is_alnum(c) || std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

bool begins_with_method(std::string_view bytes) {
  return is_token(bytes.substr(0, bytes.find(' ')));
}

}  // namespace sc::http
