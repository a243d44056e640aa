#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/address.h"
#include "net/socket.h"

namespace sc::http {

struct Header {
  std::string name;
  std::string value;
  bool operator==(const Header&) const = default;
};

// The first value of the field, its name in any case (RFC 9110 section 5.1); nullptr if there is
// none.
const std::string* find_header(const std::vector<Header>& headers, std::string_view name);

// A request, or the head of one whose body was not read yet. A value.
struct Request {
  std::string id;         // the client's X-Request-Id if it is a good one, else made here
  std::string method;     // as sent; methods are case-sensitive (RFC 9110 section 9.1)
  std::string target;     // as sent
  std::string path;       // of the target, not decoded; `*` for OPTIONS *, empty for CONNECT
  std::string query;      // behind the '?', not decoded
  int minor_version = 1;  // HTTP/1.0 or HTTP/1.1
  // With an absolute target, Host has that target's authority (RFC 9112 section 3.2.2).
  std::vector<Header> headers;
  std::string body;
  bool has_body = false;   // it was not read yet; see Responder::read_body()
  bool keep_alive = true;  // may the client send another one on this connection

  net::Address peer;
  std::optional<net::PeerCredentials> credentials;  // of a unix socket's peer

  const std::string* header(std::string_view name) const { return find_header(headers, name); }
};

// What a handler answers. Date, X-Request-Id, Connection, and Content-Length or Transfer-Encoding,
// are added when it is written; do not put them into `headers`.
struct Response {
  int status = 200;
  std::string content_type;  // no Content-Type when empty
  std::string body;          // left out for HEAD, its length is not
  std::vector<Header> headers;
  bool close = false;             // end the connection after this answer
  std::string_view problem = {};  // the name of an error's type, for the log; is not sent
};

// `Not Found`; empty for a status that RFC 9110, 6585 and 9457 do not name.
std::string_view reason_phrase(int status);

// Makes the answer for what this folder refuses by itself (400, 404, 405, 408, 413 ...). `detail`
// is a sentence for the person who asked. Replaceable, so that the API can answer in its own form.
using ErrorBody = std::function<Response(int status, std::string detail)>;
Response plain_error(int status, std::string detail);

// Where the body of an answer ends (RFC 9112 section 6.3).
enum class Framing : unsigned char {
  length,       // Content-Length tells
  chunked,      // it goes on: behind the last chunk
  until_close,  // it goes on: with the connection, for HTTP/1.0
};

struct AnswerOptions {
  std::string_view date;        // as in the Date header
  std::string_view request_id;  // no X-Request-Id when empty
  int minor_version = 1;        // of the request
  bool close = false;           // the connection ends after it
  bool omit_body = false;       // the request was HEAD
  Framing framing = Framing::length;
};

// Appends the answer as it goes over the wire. CR, LF and NUL in header values become spaces, so
// that no value can start a header of its own.
void append_answer(std::string& out, const Response& response, const AnswerOptions& options);

// Appends a part of a body that goes on. An empty part appends nothing, as an empty chunk would be
// the last one.
void append_part(std::string& out, std::string_view part, Framing framing);
void append_last_part(std::string& out, Framing framing);

}  // namespace sc::http
