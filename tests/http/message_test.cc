#include "http/message.h"

#include "support/catch.h"

using namespace sc::http;

TEST_CASE("a header is found whatever the case of its name") {
  Request request;
  request.headers = {{"Host", "a"}, {"X-Thing", "1"}, {"x-thing", "2"}};
  REQUIRE(request.header("HOST") != nullptr);
  CHECK(*request.header("HOST") == "a");
  CHECK(*request.header("x-THING") == "1");
  CHECK(request.header("Hos") == nullptr);
}

TEST_CASE("an answer has date, type, length and body") {
  std::string out;
  Response response{200, "application/json", "{}", {{"X-A", "b"}}};
  append_answer(out, response, {.date = "D"});
  CHECK(out ==
        "HTTP/1.1 200 OK\r\nDate: D\r\nContent-Type: application/json\r\nX-A: b\r\n"
        "Content-Length: 2\r\n\r\n{}");
}

TEST_CASE("204 has neither length nor body") {
  std::string out;
  append_answer(out, {204, "text/plain", "nothing", {}}, {.date = "D", .close = true});
  CHECK(out == "HTTP/1.1 204 No Content\r\nDate: D\r\nConnection: close\r\n\r\n");
}

TEST_CASE("304 has neither type, length nor body") {
  std::string out;
  append_answer(out, {304, "text/plain", "nothing", {{"ETag", "\"1\""}}}, {.date = "D"});
  CHECK(out == "HTTP/1.1 304 Not Modified\r\nDate: D\r\nETag: \"1\"\r\n\r\n");
}

TEST_CASE("a value cannot start a header of its own") {
  std::string out;
  append_answer(out, {200, "", "", {{"Location", "/a\r\nSet-Cookie: b"}}}, {.date = "D"});
  CHECK(out.find("Location: /a  Set-Cookie: b\r\n") != std::string::npos);
}

TEST_CASE("each status that is answered here has its phrase") {
  for (const int status : {100, 200, 201, 202, 204, 304, 400, 404, 405, 406, 408, 409,
                           412, 413, 414, 415, 417, 422, 428, 429, 431, 500, 501, 505})
    CHECK_FALSE(reason_phrase(status).empty());
  CHECK(reason_phrase(299).empty());
}
