#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "http/message.h"

namespace sc::http {

// Why a request is not answered by a handler: the status that says so, and a sentence.
struct ParseError {
  int status = 400;
  std::string detail;
};

// Reads a request's head, from its first byte through the empty line, to the letter of RFC 9112:
// what that allows a server to tolerate (bare LF, folded lines, spaces around names) is refused,
// because somebody in front of us may read it differently (request smuggling). Pure.
//
// llhttp reads the same bytes and decides where the message ends; it stands here beside it because
// Debian builds it in its loose mode, which takes most of the above.
std::variant<Request, ParseError> parse_head(std::string_view head);

// RFC 9110 section 5.5: may it stand in a header's value? Visible, space, tab or above ASCII.
bool is_value_char(char c);

// RFC 9110 section 5.6.2: may it stand in a method or a header's name?
bool is_token_char(char c);

// Does it begin like a request line, as far as it goes? Tells an unknown method from noise.
bool begins_with_method(std::string_view bytes);

}  // namespace sc::http
