#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/message.h"
#include "http/request_head.h"

struct llhttp__internal_s;  // llhttp_t

namespace sc::http {

struct ParserLimits {
  std::size_t head = 16 * 1024;    // bytes of request line and headers -> 431
  std::size_t target = 8 * 1024;   // bytes of the request target -> 414
  std::size_t body = 1024 * 1024;  // bytes of the body, decoded -> 413
};

// Bytes -> requests, one after the other, by llhttp with all leniency off and parse_head beside it.
// Holds at most the limits' bytes. One thread at a time.
class Parser {
 public:
  enum class State : unsigned char {
    idle,      // no byte of a request yet
    head,      // in the request line or the headers
    stopped,   // behind the headers, before a body: take_head(), then feed() reads the body
    body,      // behind the headers
    complete,  // take() it
    failed,    // error() says why; it stays so, as nobody knows where the next request begins
  };

  // With `stops_at_body`, no byte of a body is taken before the head is, so that a head can be
  // refused before its body costs memory.
  explicit Parser(const ParserLimits& limits, bool stops_at_body = false);
  Parser(const Parser&) = delete;
  Parser& operator=(const Parser&) = delete;
  ~Parser();

  // Reads until a request is complete, stopped or refused, and says how many bytes that took: the
  // rest is for the next call. Not to be called when complete or failed.
  std::size_t feed(std::string_view bytes);

  State state() const { return state_; }
  const ParseError& error() const { return error_; }
  // Of the request that is read or refused, as far as its head was read whole.
  const std::vector<Header>& headers() const { return request_.headers; }
  // The head of a stopped request, without id and peer. The body is then the next request's.
  Request take_head();
  // The request, without id and peer; idle again. Only the body, where the head was taken.
  Request take();

  // Does the client wait for `100 Continue` before it sends the body? True once for a request.
  bool take_continue();
  bool wants_continue() const { return wants_continue_; }
  // The length that the head gives the body; nullopt: the body is chunked, or there is none.
  std::optional<std::size_t> body_length() const { return body_length_; }
  // Bytes of memory that the body takes so far.
  std::size_t body_memory() const { return request_.body.capacity(); }
  // As far as it is known: answers to HEAD have no body, whatever they say.
  bool is_head_request() const { return is_head_request_; }

 private:
  struct Callbacks;

  void start();
  int fail(int status, std::string detail);
  int fail_too_long();
  void fail_by_llhttp(int number, std::string_view head);
  int on_head_complete();
  int check_framing();
  int check_expectation(bool body_follows);
  int on_body(std::string_view part);
  bool take_chunk_framing(std::string_view bytes);
  bool take_framing_byte(char c);

  const ParserLimits limits_;
  const bool stops_at_body_;
  std::unique_ptr<llhttp__internal_s> llhttp_;

  State state_ = State::idle;
  ParseError error_;
  Request request_;
  bool is_head_request_ = false;
  bool wants_continue_ = false;
  std::optional<std::size_t> body_length_;
  std::size_t target_size_ = 0;
  std::string kept_head_;  // what came of the head in earlier calls

  // During feed() only: its bytes, and the head as far as it goes.
  std::string_view fed_;
  std::string_view head_;

  // For a chunked body. What lies between the chunks' data is checked here as well, because llhttp
  // in loose mode takes any two bytes for the CR LF around them, and much else.
  enum class Framing : unsigned char {
    none,
    size,     // at the digits of a chunk's size
    line,     // in its extensions, or in a trailer's value
    line_lf,  // behind the CR of such a line
    trailer,  // where a trailer may begin
    name,     // in a trailer's name
    data_cr,
    data_lf,
  };
  Framing framing_ = Framing::none;
  const char* framing_from_ = nullptr;  // in fed_: where bytes that were not checked begin
  std::size_t chunk_left_ = 0;
  std::size_t size_digits_ = 0;
  std::size_t framing_size_ = 0;
};

}  // namespace sc::http
