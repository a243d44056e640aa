#include "http/parser.h"

#include <llhttp.h>

#include <algorithm>
#include <utility>

#include "base/text.h"

namespace sc::http {
namespace {

constexpr std::string_view kHeadEnd = "\r\n\r\n";
// Chunk framing (sizes, extensions, trailers) may take this much per byte of body, and the head's
// limit on top (RFC 9112 section 7.1.1 asks for a limit): a chunk of one byte needs five.
constexpr std::size_t kFramingPerByte = 8;
// Of a chunk's size; with more, zeros in front, other programs' numbers may overflow.
constexpr std::size_t kSizeDigits = 16;

}  // namespace

struct Parser::Callbacks {
  static Parser& self(llhttp_t* llhttp) { return *static_cast<Parser*>(llhttp->data); }

  static int on_url(llhttp_t* llhttp, const char*, std::size_t size) noexcept {
    Parser& parser = self(llhttp);
    parser.target_size_ += size;
    if (parser.target_size_ <= parser.limits_.target) return 0;
    return parser.fail(414, "the request target is longer than " +
                                std::to_string(parser.limits_.target) + " bytes");
  }
  static int on_headers_complete(llhttp_t* llhttp) noexcept {
    return self(llhttp).on_head_complete();
  }
  static int on_chunk_header(llhttp_t* llhttp) noexcept {
    Parser& parser = self(llhttp);
    parser.chunk_left_ = llhttp->content_length;
    return parser.chunk_left_ > parser.limits_.body ? parser.fail_too_long() : 0;
  }
  static int on_body(llhttp_t* llhttp, const char* at, std::size_t size) noexcept {
    return self(llhttp).on_body({at, size});
  }
  static int on_message_complete(llhttp_t* llhttp) noexcept {
    self(llhttp).state_ = State::complete;
    return HPE_PAUSED;
  }

  static const llhttp_settings_t* settings() {
    static const llhttp_settings_t kSettings = [] {
      llhttp_settings_t made;
      llhttp_settings_init(&made);
      made.on_url = &on_url;
      made.on_headers_complete = &on_headers_complete;
      made.on_chunk_header = &on_chunk_header;
      made.on_body = &on_body;
      made.on_message_complete = &on_message_complete;
      return made;
    }();
    return &kSettings;
  }
};

Parser::Parser(const ParserLimits& limits, bool stops_at_body)
    : limits_(limits), stops_at_body_(stops_at_body), llhttp_(new llhttp_t) {
  start();
}

Parser::~Parser() = default;

// llhttp is made new for each request: what it knew of the one before (`Connection: close`, an
// upgrade) must not bear on the next.
void Parser::start() {
  llhttp_init(llhttp_.get(), HTTP_REQUEST, Callbacks::settings());
  llhttp_->data = this;
  state_ = State::idle;
  request_ = {};
  is_head_request_ = wants_continue_ = false;
  body_length_.reset();
  target_size_ = chunk_left_ = size_digits_ = framing_size_ = 0;
  kept_head_.clear();
  framing_ = Framing::none;
}

std::size_t Parser::feed(std::string_view bytes) {
  std::size_t skipped = 0;
  if (state_ == State::idle) {
    // RFC 9112 section 2.2: empty lines before a request are ignored.
    skipped = std::min(bytes.find_first_not_of("\r\n"), bytes.size());
    bytes.remove_prefix(skipped);
    if (bytes.empty()) return skipped;
    state_ = State::head;
  }
  if (state_ == State::stopped) {
    llhttp_resume(llhttp_.get());
    state_ = State::body;
    if (body_length_) request_.body.reserve(*body_length_);
  }
  fed_ = bytes;
  if (state_ == State::head) {
    if (!kept_head_.empty()) kept_head_ += bytes;
    head_ = kept_head_.empty() ? bytes : std::string_view(kept_head_);
    is_head_request_ = head_.starts_with("HEAD ");
  }
  framing_from_ = bytes.data();

  const llhttp_errno_t result = llhttp_execute(llhttp_.get(), bytes.data(), bytes.size());
  const char* end = result == HPE_OK ? bytes.data() + bytes.size() : llhttp_->error_pos;
  if (result != HPE_OK && state_ != State::complete && state_ != State::stopped &&
      state_ != State::failed)
    fail_by_llhttp(result, head_);
  if (framing_ != Framing::none && state_ != State::failed)
    take_chunk_framing({framing_from_, static_cast<std::size_t>(end - framing_from_)});
  if (state_ == State::head) {
    if (head_.size() > limits_.head) {
      fail(431, "the headers are longer than " + std::to_string(limits_.head) + " bytes");
    } else if (kept_head_.empty()) {
      kept_head_ = std::string(bytes);
    }
  }
  head_ = fed_ = {};
  return state_ == State::failed ? skipped + bytes.size()
                                 : skipped + static_cast<std::size_t>(end - bytes.data());
}

Request Parser::take_head() { return std::exchange(request_, {}); }

Request Parser::take() {
  Request taken = std::move(request_);
  start();
  return taken;
}

// RFC 9110 section 10.1.1: may be left out once some of the body has come.
bool Parser::take_continue() {
  return std::exchange(wants_continue_, false) && request_.body.empty();
}

int Parser::fail(int status, std::string detail) {
  if (state_ != State::failed) error_ = {status, std::move(detail)};
  state_ = State::failed;
  return -1;
}

void Parser::fail_by_llhttp(int number, std::string_view head) {
  if (number == HPE_INVALID_METHOD && begins_with_method(head)) {
    fail(501, "the method is not known here");
  } else if (number == HPE_PAUSED_H2_UPGRADE ||
             (number == HPE_INVALID_VERSION &&
              (llhttp_->http_major > 1 || llhttp_->http_minor > 1))) {
    fail(505, "HTTP/1.1 and HTTP/1.0 are spoken here");
  } else {
    const char* reason = llhttp_get_error_reason(llhttp_.get());
    fail(400, std::string("malformed request: ") + (reason != nullptr ? reason : "unreadable"));
  }
}

int Parser::fail_too_long() {
  return fail(413, "the body is longer than " + std::to_string(limits_.body) + " bytes");
}

int Parser::on_head_complete() {
  const std::size_t found = head_.find(kHeadEnd);
  const std::size_t size = found == std::string_view::npos ? head_.size() : found + kHeadEnd.size();
  if (size > limits_.head)
    return fail(431, "the headers are longer than " + std::to_string(limits_.head) + " bytes");
  const std::size_t size_before = head_.size() - fed_.size();
  if (size < size_before) return fail(400, "the head ends twice");  // llhttp did not see it
  auto parsed = parse_head(head_.substr(0, size));
  if (auto* error = std::get_if<ParseError>(&parsed))
    return fail(error->status, std::move(error->detail));
  request_ = std::move(std::get<Request>(parsed));
  // CONNECT asks for a tunnel, which is never made, so what follows is not the tunnel's; RFC 9110
  // section 9.3.6.
  request_.keep_alive =
      llhttp_should_keep_alive(llhttp_.get()) != 0 && request_.method != "CONNECT";
  llhttp_->upgrade = 0;  // an upgrade is declined by answering as if it was not asked for
  framing_from_ = fed_.data() + (size - size_before);
  state_ = State::body;
  if (const int failed = check_framing(); failed != 0) return failed;
  if (!stops_at_body_ || (framing_ == Framing::none && body_length_.value_or(0) == 0)) return 0;
  request_.has_body = true;
  state_ = State::stopped;
  return HPE_PAUSED;
}

int Parser::check_framing() {
  std::size_t codings = 0;
  bool has_length = false;
  for (const Header& header : request_.headers) {
    const std::string name = base::to_lower(header.name);
    if (name == "content-length") has_length = true;
    if (name != "transfer-encoding") continue;
    if (++codings > 1) return fail(400, "there is more than one Transfer-Encoding header");
    const std::string coding = base::to_lower(header.value);
    // RFC 9112 section 6.3: without `chunked` at the end the body's length is unknown.
    const std::size_t last = coding.find_last_of(", \t");
    if (coding.substr(last == std::string::npos ? 0 : last + 1) != "chunked")
      return fail(400, "the last transfer coding is not chunked");
    if (coding != "chunked") return fail(501, "the only transfer coding known here is chunked");
  }
  if (codings > 0 && has_length)
    return fail(400, "Content-Length and Transfer-Encoding exclude each other");
  // RFC 9112 section 6.1: its framing is faulty.
  if (codings > 0 && request_.minor_version == 0)
    return fail(400, "HTTP/1.0 has no Transfer-Encoding");
  if (codings > 0) framing_ = Framing::size;
  if (has_length && llhttp_->content_length > limits_.body) return fail_too_long();
  if (has_length) body_length_ = llhttp_->content_length;
  return check_expectation(codings > 0 || (has_length && llhttp_->content_length > 0));
}

int Parser::check_expectation(bool body_follows) {
  const std::string* expect = request_.header("expect");
  if (expect == nullptr || request_.minor_version == 0) return 0;  // RFC 9110 section 10.1.1
  if (base::to_lower(*expect) != "100-continue")
    return fail(417, "the only expectation met here is 100-continue");
  wants_continue_ = body_follows;
  return 0;
}

int Parser::on_body(std::string_view part) {
  if (framing_ != Framing::none) {
    const auto between = static_cast<std::size_t>(part.data() - framing_from_);
    if (!take_chunk_framing({framing_from_, between})) return -1;
    framing_from_ = part.data() + part.size();
    chunk_left_ -= part.size();
    if (chunk_left_ == 0) framing_ = Framing::data_cr;
  }
  if (request_.body.size() + part.size() > limits_.body) return fail_too_long();
  request_.body += part;
  return 0;
}

bool Parser::take_chunk_framing(std::string_view bytes) {
  framing_size_ += bytes.size();
  if (framing_size_ > limits_.head + kFramingPerByte * request_.body.size()) {
    fail(431, "chunk extensions or trailers are too long");
    return false;
  }
  for (const char c : bytes) {
    if (take_framing_byte(c)) continue;
    fail(400, "the chunked body is malformed");
    return false;
  }
  return true;
}

bool Parser::take_framing_byte(char c) {
  switch (framing_) {
    case Framing::none:
      return true;
    case Framing::data_cr:
      framing_ = Framing::data_lf;
      return c == '\r';
    case Framing::data_lf:
      framing_ = Framing::size;
      size_digits_ = 0;
      return c == '\n';
    case Framing::line_lf:
      framing_ = Framing::trailer;  // or a chunk's data, which does not come here
      return c == '\n';
    case Framing::name:
      if (c == ':') framing_ = Framing::line;
      return c == ':' || is_token_char(c);
    case Framing::size:
    case Framing::line:
    case Framing::trailer:
      break;
  }
  if (c == '\r') {
    framing_ = Framing::line_lf;
  } else if (framing_ == Framing::trailer) {
    framing_ = Framing::name;
    return is_token_char(c);  // a blank would go on with the line before
  } else if (framing_ == Framing::size && c == ';') {
    framing_ = Framing::line;
  } else if (framing_ == Framing::size) {
    return ++size_digits_ <= kSizeDigits;
  }
  return c == '\r' || is_value_char(c);
}

}  // namespace sc::http
