#include "config/nginx_syntax.h"

#include <utility>

namespace sc::config {
namespace {

// stream { server { } } needs two; nesting for its own sake must not use up the stack.
constexpr unsigned kMaxDepth = 16;

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

struct Token {
  enum class Kind : unsigned char { word, semicolon, open, close, end, unclosed_quote };
  Kind kind = Kind::end;
  std::string text;  // of a word
  unsigned line = 1;
};

// Cuts the text into tokens, one at a time. Single use.
class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  Token next() {
    skip_blank();
    if (at_ == text_.size()) return {Token::Kind::end, "", line_};
    switch (text_[at_]) {
      case ';':
        ++at_;
        return {Token::Kind::semicolon, "", line_};
      case '{':
        ++at_;
        return {Token::Kind::open, "", line_};
      case '}':
        ++at_;
        return {Token::Kind::close, "", line_};
      case '"':
      case '\'':
        return quoted_word();
      default:
        return plain_word();
    }
  }

 private:
  void skip_blank() {
    bool in_comment = false;  // '#' starts one only where a word could start
    for (; at_ < text_.size(); ++at_) {
      if (text_[at_] == '\n') {
        ++line_;
        in_comment = false;
      } else if (text_[at_] == '#') {
        in_comment = true;
      } else if (!in_comment && !is_space(text_[at_])) {
        return;
      }
    }
  }

  Token quoted_word() {
    Token token{Token::Kind::word, "", line_};
    const char quote = text_[at_++];
    for (; at_ < text_.size(); ++at_) {
      if (text_[at_] == quote) {
        ++at_;
        return token;
      }
      if (text_[at_] == '\n') ++line_;
      if (text_[at_] == '\\' && at_ + 1 < text_.size() && text_[at_ + 1] == quote) ++at_;
      token.text += text_[at_];
    }
    token.kind = Token::Kind::unclosed_quote;
    return token;
  }

  Token plain_word() {
    Token token{Token::Kind::word, "", line_};
    while (at_ < text_.size() && !is_space(text_[at_]) && text_[at_] != ';' && text_[at_] != '{')
      token.text += text_[at_++];
    return token;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  unsigned line_ = 1;
};

// Puts tokens together to directives, until the first that does not fit. Single use.
class Reader {
 public:
  explicit Reader(std::string_view text) : lexer_(text) {}

  // Up to the end of the text (depth 0) or the brace that closes the block. False: there is a
  // fault.
  bool read(std::vector<NginxDirective>& into, unsigned depth) {
    NginxDirective current;
    while (true) {
      Token token = lexer_.next();
      if (current.words.empty()) current.line = token.line;
      switch (token.kind) {
        case Token::Kind::word:
          current.words.push_back(std::move(token.text));
          break;
        case Token::Kind::semicolon:
          if (current.words.empty()) return fail(current, "unexpected ;");
          into.push_back(std::exchange(current, {}));
          break;
        case Token::Kind::open:
          if (current.words.empty()) return fail(current, "unexpected {");
          if (depth + 1 == kMaxDepth) return fail(current, "blocks are nested too deeply");
          current.is_block = true;
          if (!read(current.body, depth + 1)) return false;
          into.push_back(std::exchange(current, {}));
          break;
        case Token::Kind::close:
          if (!current.words.empty()) return fail(current, "the ; is missing before }");
          if (depth == 0) return fail(current, "unexpected }");
          return true;
        case Token::Kind::end:
          if (!current.words.empty()) return fail(current, "the file ends before ; or {");
          if (depth > 0) return fail(current, "the file ends before }");
          return true;
        case Token::Kind::unclosed_quote:
          current.words.push_back(std::move(token.text));
          return fail(current, "the closing quote is missing");
      }
    }
  }

  std::optional<NginxFile::Fault> fault;

 private:
  bool fail(NginxDirective at, std::string why) {
    at.body.clear();
    fault = {std::move(at), std::move(why)};
    return false;
  }

  Lexer lexer_;
};

}  // namespace

std::string to_string(const NginxDirective& directive) {
  std::string out;
  for (const std::string& word : directive.words) out += (out.empty() ? "" : " ") + word;
  if (directive.is_block) return out + " { ... }";
  return out.empty() ? out : out + ";";
}

NginxFile parse_nginx_file(std::string_view text) {
  NginxFile out;
  Reader reader(text);
  reader.read(out.directives, 0);
  out.fault = std::move(reader.fault);
  return out;
}

}  // namespace sc::config
