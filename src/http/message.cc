#include "http/message.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace sc::http {
namespace {

struct Reason {
  int status;
  std::string_view phrase;
};
constexpr std::array kReasons{
    Reason{100, "Continue"},
    Reason{200, "OK"},
    Reason{201, "Created"},
    Reason{202, "Accepted"},
    Reason{204, "No Content"},
    Reason{301, "Moved Permanently"},
    Reason{302, "Found"},
    Reason{303, "See Other"},
    Reason{304, "Not Modified"},
    Reason{307, "Temporary Redirect"},
    Reason{308, "Permanent Redirect"},
    Reason{400, "Bad Request"},
    Reason{401, "Unauthorized"},
    Reason{403, "Forbidden"},
    Reason{404, "Not Found"},
    Reason{405, "Method Not Allowed"},
    Reason{406, "Not Acceptable"},
    Reason{408, "Request Timeout"},
    Reason{409, "Conflict"},
    Reason{410, "Gone"},
    Reason{411, "Length Required"},
    Reason{412, "Precondition Failed"},
    Reason{413, "Content Too Large"},
    Reason{414, "URI Too Long"},
    Reason{415, "Unsupported Media Type"},
    Reason{417, "Expectation Failed"},
    Reason{421, "Misdirected Request"},
    Reason{422, "Unprocessable Content"},
    Reason{428, "Precondition Required"},
    Reason{429, "Too Many Requests"},
    Reason{431, "Request Header Fields Too Large"},
    Reason{500, "Internal Server Error"},
    Reason{501, "Not Implemented"},
    Reason{503, "Service Unavailable"},
    Reason{504, "Gateway Timeout"},
    Reason{505, "HTTP Version Not Supported"},
    Reason{507, "Insufficient Storage"},
};

bool same_name(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return lower(x) == lower(y); });
}

void append_header(std::string& out, std::string_view name, std::string_view value) {
  out += name;
  out += ": ";
  for (const char c : value) out += c == '\r' || c == '\n' || c == '\0' ? ' ' : c;
  out += "\r\n";
}

}  // namespace

const std::string* find_header(const std::vector<Header>& headers, std::string_view name) {
  for (const Header& header : headers)
    if (same_name(header.name, name)) return &header.value;
  return nullptr;
}

std::string_view reason_phrase(int status) {
  const auto found = std::find_if(kReasons.begin(), kReasons.end(),
                                  [&](const Reason& reason) { return reason.status == status; });
  return found == kReasons.end() ? std::string_view{} : found->phrase;
}

Response plain_error(int status, std::string detail) {
  Response response;
  response.status = status;
  response.content_type = "text/plain; charset=utf-8";
  response.body =
      std::to_string(status) + " " + std::string(reason_phrase(status)) + "\n" + detail + "\n";
  return response;
}

void append_answer(std::string& out, const Response& response, const AnswerOptions& options) {
  // RFC 9110 sections 15.3.5, 15.4.5 and 8.6: these have no content, and 204 no Content-Length.
  const bool no_content = response.status == 204 || response.status == 304;
  out.reserve(out.size() + response.body.size() + 256);
  out += "HTTP/1.1 ";
  out += std::to_string(response.status);
  out += ' ';
  out += reason_phrase(response.status);
  out += "\r\n";
  append_header(out, "Date", options.date);
  if (!options.request_id.empty()) append_header(out, "X-Request-Id", options.request_id);
  if (!response.content_type.empty() && !no_content)
    append_header(out, "Content-Type", response.content_type);
  for (const Header& header : response.headers) append_header(out, header.name, header.value);
  if (options.framing == Framing::chunked) {
    append_header(out, "Transfer-Encoding", "chunked");
  } else if (options.framing == Framing::length && !no_content) {
    append_header(out, "Content-Length", std::to_string(response.body.size()));
  }
  if (options.close) {
    append_header(out, "Connection", "close");
  } else if (options.minor_version == 0) {
    append_header(out, "Connection", "keep-alive");
  }
  out += "\r\n";
  if (!no_content && !options.omit_body) append_part(out, response.body, options.framing);
}

void append_part(std::string& out, std::string_view part, Framing framing) {
  if (framing != Framing::chunked) {
    out += part;
  } else if (!part.empty()) {
    std::array<char, 2 * sizeof(std::size_t)> digits{};
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), part.size(), 16);
    out.append(digits.data(), end.ptr).append("\r\n").append(part).append("\r\n");
  }
}

void append_last_part(std::string& out, Framing framing) {
  if (framing == Framing::chunked) out += "0\r\n\r\n";
}

}  // namespace sc::http
