#include "http/parser.h"

#include <initializer_list>

#include "support/catch.h"

using namespace sc::http;

namespace {

// What came of the bytes: `200 METHOD path body` for a request that was read, else the status.
std::string outcome_of(Parser& parser) {
  switch (parser.state()) {
    case Parser::State::complete: {
      const Request request = parser.take();
      return "200 " + request.method + " " + request.path + " " + request.body;
    }
    case Parser::State::failed:
      return std::to_string(parser.error().status);
    case Parser::State::idle:
    case Parser::State::head:
    case Parser::State::stopped:
    case Parser::State::body:
      break;
  }
  return "more";
}

// In pieces of the given size, each given again as far as it was not taken. The outcomes of all
// messages, one after the other.
std::string parse(std::string_view bytes, std::size_t piece, const ParserLimits& limits = {}) {
  Parser parser(limits);
  std::string outcomes;
  while (!bytes.empty()) {
    const std::string_view now = bytes.substr(0, piece);
    bytes.remove_prefix(parser.feed(now));
    if (parser.state() != Parser::State::complete && parser.state() != Parser::State::failed)
      continue;
    outcomes += (outcomes.empty() ? "" : "; ") + outcome_of(parser);
    if (parser.state() == Parser::State::failed) return outcomes;
  }
  if (parser.state() != Parser::State::idle)
    outcomes += (outcomes.empty() ? "" : "; ") + outcome_of(parser);
  return outcomes;
}

// The same, however the bytes arrive.
std::string parse_in_all_ways(std::string_view bytes, const ParserLimits& limits = {}) {
  const std::string whole = parse(bytes, bytes.size(), limits);
  for (const std::size_t piece : {1U, 2U, 3U, 7U}) {
    INFO("in pieces of " << piece);
    CHECK(parse(bytes, piece, limits) == whole);
  }
  return whole;
}

std::string with_headers(std::string_view headers, std::string_view rest = "") {
  return "POST /x HTTP/1.1\r\nHost: h\r\n" + std::string(headers) + "\r\n" + std::string(rest);
}

struct Row {
  std::string bytes;
  std::string outcome;
};

void check_rows(std::initializer_list<Row> rows) {
  for (const Row& row : rows) {
    INFO(row.bytes);
    CHECK(parse_in_all_ways(row.bytes) == row.outcome);
  }
}

}  // namespace

TEST_CASE("well-formed requests are read however their bytes arrive") {
  check_rows({
      {"GET /status HTTP/1.1\r\nHost: h\r\n\r\n", "200 GET /status "},
      {"\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", "200 GET / "},
      {"GET / HTTP/1.0\r\n\r\n", "200 GET / "},
      {"HEAD /a?b=c HTTP/1.1\r\nHost: h\r\n\r\n", "200 HEAD /a "},
      {"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "200 OPTIONS * "},
      {"CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n", "200 CONNECT  "},
      {with_headers("Content-Length: 5\r\n", "hello"), "200 POST /x hello"},
      {with_headers("Content-Length: 0\r\n"), "200 POST /x "},
      {with_headers("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n1;a=b\r\n!\r\n0\r\n\r\n"),
       "200 POST /x hello!"},
      {with_headers("Transfer-Encoding: Chunked\r\n", "0\r\nX-Trailer: y\r\n\r\n"), "200 POST /x "},
      {with_headers("Upgrade: websocket\r\nConnection: upgrade\r\n"), "200 POST /x "},
  });
}

TEST_CASE("requests behind one another are read one by one") {
  const std::string get = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
  const std::string post = with_headers("Content-Length: 5\r\n", "hello");
  const std::string chunked =
      with_headers("Transfer-Encoding: chunked\r\n", "2\r\nab\r\n0\r\nT: u\r\n\r\n");
  CHECK(parse_in_all_ways(get + post + chunked + get + chunked) ==
        "200 GET /a ; 200 POST /x hello; 200 POST /x ab; 200 GET /a ; 200 POST /x ab");
  // A trailer cannot change where its message ends.
  const std::string trailed =
      with_headers("Transfer-Encoding: chunked\r\n", "0\r\nContent-Length: 9\r\n\r\n");
  CHECK(parse_in_all_ways(trailed + get) == "200 POST /x ; 200 GET /a ");
  const std::string upgrade =
      "GET /u HTTP/1.1\r\nHost: h\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n";
  const std::string connect = "CONNECT h:1 HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab";
  CHECK(parse_in_all_ways(upgrade + connect + get) == "200 GET /u ; 200 CONNECT  ab; 200 GET /a ");
}

TEST_CASE("a request is read into its parts") {
  Parser parser({});
  parser.feed(
      "GET /a/b%20c?x=1&y=%2F HTTP/1.1\r\nhOsT: h:5000\r\nX-Empty:\r\nX-Sp: \t two words "
      "\t\r\n\r\n");
  REQUIRE(parser.state() == Parser::State::complete);
  const Request request = parser.take();
  CHECK(request.method == "GET");
  CHECK(request.target == "/a/b%20c?x=1&y=%2F");
  CHECK(request.path == "/a/b%20c");
  CHECK(request.query == "x=1&y=%2F");
  CHECK(request.minor_version == 1);
  CHECK(request.keep_alive);
  CHECK(request.headers ==
        std::vector<Header>{{"hOsT", "h:5000"}, {"X-Empty", ""}, {"X-Sp", "two words"}});
}

TEST_CASE("an absolute target's authority replaces the Host header") {
  Parser parser({});
  parser.feed("GET http://real:80?q HTTP/1.1\r\nHost: other\r\n\r\n");
  REQUIRE(parser.state() == Parser::State::complete);
  const Request request = parser.take();
  CHECK(request.path == "/");
  CHECK(request.query == "q");
  CHECK(*request.header("host") == "real:80");
}

TEST_CASE("keep-alive is as version and Connection say") {
  const auto keeps_alive = [](const std::string& version, const std::string& header) {
    Parser parser({});
    parser.feed("GET / HTTP/" + version + "\r\nHost: h\r\n" + header + "\r\n");
    REQUIRE(parser.state() == Parser::State::complete);
    return parser.take().keep_alive;
  };
  CHECK(keeps_alive("1.1", ""));
  CHECK_FALSE(keeps_alive("1.1", "Connection: close\r\n"));
  CHECK_FALSE(keeps_alive("1.1", "Connection: foo, Close\r\n"));
  CHECK_FALSE(keeps_alive("1.0", ""));
  CHECK(keeps_alive("1.0", "Connection: Keep-Alive\r\n"));
}

TEST_CASE("malformed heads are refused") {
  check_rows({
      {"\x16\x03\x01\x02", "400"},  // a TLS client
      {"GET\r\n\r\n", "400"},
      {"GET /\r\n\r\n", "400"},  // HTTP/0.9
      {"GET  / HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
      {"GET / HTTP/1.1 \r\nHost: h\r\n\r\n", "400"},
      {"GET /a b HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
      {"GET /#a HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
      {"GET /\xc3\xa4 HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
      {"GET ftp://h/ HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
      {"GET * HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
      {"GET / HTTP/1.1\r\nHost: h\r\nNoColon\r\n\r\n", "400"},
      {"GET / HTTP/1.1\r\nHost: h\r\n: v\r\n\r\n", "400"},
      {"GET / HTTP/1.1\r\nHost: h\r\nA B: v\r\n\r\n", "400"},
      {"GET / HTTP/1.1\r\nHost: h\r\nA: \x01\r\n\r\n", "400"},
      {"GET / HTTP/x.1\r\nHost: h\r\n\r\n", "400"},
      {"GET / RTSP/1.0\r\nHost: h\r\n\r\n", "400"},
  });
}

TEST_CASE("unknown methods and versions are told apart from noise") {
  check_rows({
      {"BREW /pot HTTP/1.1\r\nHost: h\r\n\r\n", "501"},
      {"get / HTTP/1.1\r\nHost: h\r\n\r\n", "501"},
      {"GET / HTTP/2.0\r\nHost: h\r\n\r\n", "505"},
      {"GET / HTTP/1.2\r\nHost: h\r\n\r\n", "505"},
      {"GET / HTTP/3.0\r\nHost: h\r\n\r\n", "505"},
      {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505"},
  });
}

TEST_CASE("a request of HTTP/1.1 has one well-formed Host") {
  check_rows({
      {"GET / HTTP/1.1\r\n\r\n", "400"},
      {"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "400"},
      {"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", "400"},
      {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "400"},
      {"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", "400"},
      {"GET / HTTP/1.1\r\nHost:\r\n\r\n", "200 GET / "},
      {"GET / HTTP/1.1\r\nHost: [::1]:5000\r\n\r\n", "200 GET / "},
  });
}

TEST_CASE("what two servers may read differently is refused") {
  check_rows({
      {with_headers("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), "400"},
      {with_headers("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", "0\r\n\r\n"), "400"},
      {with_headers("Content-Length: 3\r\nContent-Length: 4\r\n", "abcd"), "400"},
      {with_headers("Content-Length: 3\r\nContent-Length: 3\r\n", "abc"), "400"},
      {with_headers("Content-Length: 3, 3\r\n", "abc"), "400"},
      {with_headers("Content-Length: +3\r\n", "abc"), "400"},
      {with_headers("Content-Length: -3\r\n", "abc"), "400"},
      {with_headers("Content-Length: 0x3\r\n", "abc"), "400"},
      {with_headers("Content-Length:\r\n", "abc"), "400"},
      {with_headers("Content-Length: 99999999999999999999999\r\n", "abc"), "400"},
      {with_headers("Content-Length : 3\r\n", "abc"), "400"},
      {with_headers("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"), "400"},
      {with_headers("Transfer-Encoding: identity\r\n"), "400"},
      {with_headers("Transfer-Encoding: xchunked\r\n"), "400"},
      {with_headers("Transfer-Encoding:\r\n"), "400"},
      {with_headers("Transfer-Encoding: chunked, identity\r\n"), "400"},
      {with_headers("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), "501"},
      {with_headers("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n"), "400"},
      {with_headers("Transfer-Encoding:\n chunked\r\n", "0\r\n\r\n"), "400"},
      {with_headers("A: b\r\n Content-Length: 3\r\n", "abc"), "400"},  // folded
      {with_headers(" A: b\r\n"), "400"},
      {with_headers("A: b\nContent-Length: 3\r\n", "abc"), "400"},
      {with_headers("A: b\rContent-Length: 3\r\n", "abc"), "400"},
      {"GET / HTTP/1.1\nHost: h\n\n", "400"},
      {"GET / HTTP/1.1\r\nHost: h\r\n\n", "400"},
      {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"},
  });
}

TEST_CASE("a chunked body is read to the letter") {
  const auto chunked = [](std::string_view body) {
    return with_headers("Transfer-Encoding: chunked\r\n", body);
  };
  check_rows({
      {chunked("5\r\nhelloXX0\r\n\r\n"), "400"},
      {chunked("5\r\nhello\n0\r\n\r\n"), "400"},
      {chunked("5\nhello\r\n0\r\n\r\n"), "400"},
      {chunked("5\rXhello\r\n0\r\n\r\n"), "400"},
      {chunked("5;a\nhello\r\n0\r\n\r\n"), "400"},
      {chunked("0\r\n\n"), "400"},
      {chunked("0\n\r\n"), "400"},
      {chunked("0\r\nA: b\n\r\n"), "400"},
      {chunked("g\r\n"), "400"},
      {chunked("-1\r\n"), "400"},
      {chunked("\r\n"), "400"},
      {chunked("ffffffff\r\n"), "413"},
      {chunked("fffffffffffffffff\r\n"), "400"},
  });
}

TEST_CASE("the limits hold to the byte") {
  const ParserLimits limits{.head = 100, .target = 20, .body = 10};
  const auto head_of = [](std::size_t size) {
    const std::string frame = "GET / HTTP/1.1\r\nHost: h\r\nA: \r\n\r\n";
    return frame.substr(0, frame.size() - 4) + std::string(size - frame.size(), 'x') + "\r\n\r\n";
  };
  CHECK(parse_in_all_ways(head_of(100), limits) == "200 GET / ");
  CHECK(parse_in_all_ways(head_of(101), limits) == "431");
  CHECK(parse_in_all_ways(head_of(200).substr(0, 150), limits) == "431");  // without its end

  const auto target_of = [](std::size_t size) {
    return "GET /" + std::string(size - 1, 'x') + " HTTP/1.1\r\nHost: h\r\n\r\n";
  };
  CHECK(parse_in_all_ways(target_of(20), limits).starts_with("200"));
  CHECK(parse_in_all_ways(target_of(21), limits) == "414");

  CHECK(parse_in_all_ways(with_headers("Content-Length: 10\r\n", "0123456789"), limits) ==
        "200 POST /x 0123456789");
  CHECK(parse_in_all_ways(with_headers("Content-Length: 11\r\n"), limits) == "413");
  const std::string chunks = "6\r\n012345\r\n4\r\n6789\r\n";
  CHECK(parse_in_all_ways(with_headers("Transfer-Encoding: chunked\r\n", chunks + "0\r\n\r\n"),
                          limits) == "200 POST /x 0123456789");
  CHECK(parse_in_all_ways(with_headers("Transfer-Encoding: chunked\r\n", chunks + "1\r\nx"),
                          limits) == "413");
}

TEST_CASE("chunk extensions and trailers have a limit too") {
  const ParserLimits limits{.head = 200, .target = 100, .body = 1000};
  const std::string head = with_headers("Transfer-Encoding: chunked\r\n");
  CHECK(parse_in_all_ways(head + "1;" + std::string(300, 'x') + "\r\na\r\n0\r\n\r\n", limits) ==
        "431");
  CHECK(parse_in_all_ways(head + "0\r\nA: " + std::string(300, 'x') + "\r\n\r\n", limits) == "431");
  std::string small_chunks;
  for (int i = 0; i < 1000; ++i) small_chunks += "1\r\nx\r\n";
  CHECK(parse(head + small_chunks + "0\r\n\r\n", 64, limits) ==
        "200 POST /x " + std::string(1000, 'x'));
}

TEST_CASE("100 Continue is asked for once, and only where a body is to come") {
  const auto asks = [](const std::string& bytes) {
    Parser parser({});
    parser.feed(bytes);
    const bool first = parser.take_continue();
    CHECK_FALSE(parser.take_continue());
    return first;
  };
  CHECK(asks(with_headers("Content-Length: 3\r\nExpect: 100-Continue\r\n")));
  CHECK(asks(with_headers("Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n")));
  CHECK_FALSE(asks(with_headers("Content-Length: 3\r\nExpect: 100-continue\r\n", "a")));
  CHECK_FALSE(asks(with_headers("Expect: 100-continue\r\n")));
  CHECK_FALSE(asks("POST / HTTP/1.0\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"));
  CHECK(parse_in_all_ways(with_headers("Content-Length: 3\r\nExpect: tea\r\n")) == "417");
}
