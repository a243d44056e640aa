#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fuzz/require.h"
#include "http/parser.h"
#include "http/query.h"
#include "http/request_id.h"
#include "http/router.h"

// Bytes of a client: in one piece and in any others they are the same requests, each of which goes
// to one handler or is refused once.

using namespace sc;
using fuzz::require;

namespace {

// Small, so that inputs of some kilobytes reach them.
constexpr http::ParserLimits kLimits{.head = 512, .target = 128, .body = 256};

struct Outcome {
  std::vector<http::Request> requests;
  int refusal = 0;  // the status; 0: it waits for more
};

template <class NextSize>
Outcome parse(std::string_view bytes, NextSize next_size, bool stops_at_body = false) {
  Outcome outcome;
  http::Request head;
  http::Parser parser(kLimits, stops_at_body);
  while (!bytes.empty()) {
    const std::string_view piece = bytes.substr(0, next_size());
    const std::size_t taken = parser.feed(piece);
    require(taken <= piece.size(), "no more is taken than is given");
    bytes.remove_prefix(taken);
    if (parser.state() == http::Parser::State::stopped) {
      head = parser.take_head();
      require(head.has_body && head.body.empty(), "a head is taken before its body");
    } else if (parser.state() == http::Parser::State::complete) {
      http::Request request = parser.take();
      if (head.has_body) {
        head.body = std::move(request.body);
        request = std::exchange(head, {});
      }
      outcome.requests.push_back(std::move(request));
      require(parser.state() == http::Parser::State::idle, "it is idle behind a request");
    } else if (parser.state() == http::Parser::State::failed) {
      outcome.refusal = parser.error().status;
      require(outcome.refusal >= 400 && outcome.refusal < 600, "a refusal has an error's status");
      require(!http::reason_phrase(outcome.refusal).empty(), "a refusal's status has a phrase");
      require(!parser.error().detail.empty(), "a refusal says why");
      return outcome;
    } else {
      require(taken == piece.size(), "all is taken while a request is not whole");
    }
  }
  return outcome;
}

bool is_same(const http::Request& a, const http::Request& b) {
  return a.method == b.method && a.target == b.target && a.path == b.path && a.query == b.query &&
         a.minor_version == b.minor_version && a.headers == b.headers && a.body == b.body &&
         a.keep_alive == b.keep_alive;
}

// What breaks a limit and a rule both may be told of either; and an unknown method is told from
// noise by as much of its line as came with its first byte.
bool is_alike(int a, int b) {
  const auto is_limit = [](int status) { return status == 413 || status == 414 || status == 431; };
  const auto may_be_noise = [](int status) { return status == 400 || status == 501; };
  return a == b || is_limit(a) || is_limit(b) || (may_be_noise(a) && may_be_noise(b));
}

void check_same(const Outcome& whole, const Outcome& split) {
  require(
      whole.requests.size() == split.requests.size() &&
          std::equal(whole.requests.begin(), whole.requests.end(), split.requests.begin(), is_same),
      "the same requests, however the bytes come");
  require((whole.refusal != 0) == (split.refusal != 0), "refused both times or never");
  require(is_alike(whole.refusal, split.refusal), "refused for the same reason");
}

void check_request(const http::Request& request) {
  require(request.target.size() <= kLimits.target, "a target is within its limit");
  require(request.body.size() <= kLimits.body, "a body is within its limit");
  require(request.path.starts_with('/') || request.path == "*" || request.method == "CONNECT",
          "a path is one");
  std::size_t hosts = 0;
  std::size_t lengths = 0;
  std::size_t codings = 0;
  for (const http::Header& header : request.headers) {
    require(!header.name.empty() &&
                std::all_of(header.name.begin(), header.name.end(), http::is_token_char),
            "a header's name is a token");
    require(std::all_of(header.value.begin(), header.value.end(), http::is_value_char),
            "a header's value has no control characters");
    const std::vector<http::Header> one{header};
    hosts += http::find_header(one, "host") != nullptr ? 1 : 0;
    lengths += http::find_header(one, "content-length") != nullptr ? 1 : 0;
    codings += http::find_header(one, "transfer-encoding") != nullptr ? 1 : 0;
  }
  require(hosts == 1 || (hosts == 0 && request.minor_version == 0), "there is one Host");
  require(lengths + codings <= 1, "there is one way to tell the body's end");
  require(lengths + codings == 1 || request.body.empty(), "no body comes unannounced");
  if (lengths == 1)
    require(std::to_string(request.body.size()) ==
                request.header("content-length")
                    ->substr(std::min(request.header("content-length")->find_first_not_of('0'),
                                      request.header("content-length")->size() - 1)),
            "a body has the announced length");
}

void check_texts(const http::Request& request) {
  if (const auto fields = http::parse_query(request.query))
    for (const auto& [name, value] : *fields) require(!name.empty(), "a field has a name");
  http::RequestIds ids;
  const std::string id = ids.of(request.headers);
  require(!id.empty() && id.size() <= 64 && id.find_first_of(" \t\r\n\"") == std::string::npos,
          "an id is harmless");
  // A handler that repeats what it was sent cannot be made to say more than one answer.
  http::Response response;
  response.headers = {{"X-Repeated", request.body}};
  std::string answer;
  http::append_answer(answer, response, {.date = "now", .request_id = id, .omit_body = true});
  require(std::count(answer.begin(), answer.end(), '\n') == 6, "an answer has the lines it has");
  require(answer.find("\r\n\r\n") == answer.size() - 4, "a head ends once");
}

void route(const http::Request& request) {
  int handled = 0;
  int refused = 0;
  http::Router router([&](int status, std::string detail) {
    ++refused;
    require(status == 400 || status == 404 || status == 405 || status == 501,
            "the router's refusals are known");
    return http::plain_error(status, std::move(detail));
  });
  for (const char* pattern : {"/status", "/getstreams", "/createstream/{port}/{backend}",
                              "/removestream/{port}", "/hasstream/{port}", "/getfreeport"}) {
    const std::string_view text = pattern;
    router.handle("GET", text,
                  [&, text](const http::Request& got, const http::Params& params, auto) {
                    ++handled;
                    require(got.method == "GET" || got.method == "HEAD", "only GET is handled");
                    for (const char* name : {"port", "backend"}) {
                      if (text.find("{" + std::string(name) + "}") == std::string_view::npos)
                        continue;
                      const std::string& value = params[name];
                      require(!value.empty() && value.find('\0') == std::string::npos,
                              "a parameter has text without NUL");
                    }
                  });
  }
  router.route(request, http::Responder{});
  require(handled + refused == 1 || (handled + refused == 0 && request.method == "OPTIONS"),
          "a request has one answer");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const Outcome whole = parse(bytes, [&] { return std::max<std::size_t>(size, 1); });
  check_same(whole, parse(bytes, [] { return std::size_t{1}; }));
  check_same(whole, parse(
                        bytes, [&] { return std::max<std::size_t>(size, 1); }, true));
  check_same(whole, parse(
                        bytes, [] { return std::size_t{1}; }, true));
  // Pieces of sizes that follow from the bytes, so that an input fails the same way each time
  // (FNV-1a, then a linear congruential generator).
  std::uint32_t state = 2166136261U;
  for (const char c : bytes) state = (state ^ static_cast<unsigned char>(c)) * 16777619U;
  check_same(whole, parse(bytes, [&] {
               state = state * 1664525U + 1013904223U;
               return std::size_t{1} + (state >> 27U);
             }));
  for (const http::Request& request : whole.requests) {
    check_request(request);
    check_texts(request);
    route(request);
  }
  return 0;
}
