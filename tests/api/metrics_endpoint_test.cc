#include "api/metrics_endpoint.h"

#include <algorithm>
#include <deque>
#include <string>
#include <utility>

#include "api/problem.h"
#include "core/conductor_fixture.h"
#include "http/client.h"

namespace sc::test {
namespace {

// /metrics and another endpoint behind a server. Turns of the loop are the test's: `later` has what
// waits for the next one.
struct ServedMetrics {
  explicit ServedMetrics(std::size_t streams = 1) {
    std::vector<core::Stream> stored(streams);
    for (std::size_t i = 0; i < streams; ++i) {
      stored[i].spec = spec(static_cast<std::uint16_t>(10000 + i));
      stored[i].spec.enabled = false;
    }
    on.boot(stored);
    metrics.add_to(routes);
    routes.handle("GET", "/other",
                  [](const auto&, const auto&, const auto&, http::Responder responder) {
                    responder.respond(Served::text("other"));
                  });
    served.handler = [this](const http::Request& request, http::Responder responder) {
      routes.route(request, {"tester", core::Role::viewer, {}}, std::move(responder));
    };
  }

  static std::string request(const std::string& path, const std::string& accept = "*/*") {
    return "GET " + path + " HTTP/1.1\r\nHost: h\r\nAccept: " + accept + "\r\n\r\n";
  }
  void turn() {
    auto next = std::move(later.front());
    later.pop_front();
    next();
  }
  void turn_all() {
    while (!later.empty()) turn();
  }
  // What an answer has of the streams: one line each.
  static std::ptrdiff_t streams_in(const std::string& text) {
    std::ptrdiff_t count = 0;
    const std::string line = "\nstream_conductor_sessions_active{";
    for (std::size_t at = text.find(line); at != std::string::npos; at = text.find(line, at + 1))
      ++count;
    return count;
  }

  ConductorFixture on;
  std::deque<base::Callback<void()>> later;
  int begun = 0;
  bool is_measured = true;
  Served served;
  api::Routes routes{
      [](int status, const std::string& detail) { return api::problem(status, detail); }};
  api::MetricsEndpoint metrics{
      {on.conductor, [this] { ++begun; }, [this] { return is_measured; },
       [] { return api::ServiceMetrics{}; }, [](std::uint16_t) { return core::Traffic{}; },
       [this](base::Callback<void()> next) { later.push_back(std::move(next)); }}};
};

constexpr const char* kOpenMetrics = "application/openmetrics-text; version=1.0.0";

TEST_CASE("metrics are plain text, or OpenMetrics for who asks for it") {
  ServedMetrics on;
  const Answer plain = on.served.answer_to(on.served.connect(), ServedMetrics::request("/metrics"));
  CHECK(plain.status == 200);
  CHECK(plain.header_or_none("Content-Type") == "text/plain; version=0.0.4; charset=utf-8");
  CHECK(plain.body.find("# EOF") == std::string::npos);
  const Answer open =
      on.served.answer_to(on.served.connect(), ServedMetrics::request("/metrics", kOpenMetrics));
  CHECK(open.header_or_none("Content-Type") ==
        "application/openmetrics-text; version=1.0.0; charset=utf-8");
  CHECK(open.body.ends_with("# EOF\n"));
  const std::string quoted = R"(application/openmetrics-text; version="1.0.0")";
  CHECK(on.served.answer_to(on.served.connect(), ServedMetrics::request("/metrics", quoted))
            .body.ends_with("# EOF\n"));
  CHECK(on.served.answer_to(on.served.connect(), ServedMetrics::request("/metrics", "text/html"))
            .status == 406);
  CHECK(on.served.answer_to(on.served.connect(), ServedMetrics::request("/metrics?x=1")).status ==
        400);
}

TEST_CASE("of 9,000 streams a turn tells some hundred, and other requests are answered between") {
  constexpr std::size_t kStreams = 9000;
  ServedMetrics on(kStreams);
  Client& scraper = on.served.connect();
  scraper.send(ServedMetrics::request("/metrics"));
  REQUIRE(on.served.turn_until([&] { return !on.later.empty(); }));
  std::size_t turns = 1;
  for (; !on.later.empty(); ++turns) {
    CHECK(on.served.answer_to(on.served.connect(), ServedMetrics::request("/other")).body ==
          "other");
    CHECK(scraper.received.empty());
    on.turn();
  }
  CHECK(turns == kStreams / api::MetricsEndpoint::kSlice + 1);  // the last one finds no more
  const Answer answer = on.served.next_answer(scraper);
  CHECK(on.streams_in(answer.body) == std::ptrdiff_t{kStreams});
}

TEST_CASE("a stream that goes or comes while it is told costs no other its place") {
  ServedMetrics on(2 * api::MetricsEndpoint::kSlice);
  Client& scraper = on.served.connect();
  scraper.send(ServedMetrics::request("/metrics"));
  REQUIRE(on.served.turn_until([&] { return !on.later.empty(); }));
  on.on.remove(10000);  // it has been told
  on.on.remove(static_cast<std::uint16_t>(10000 + api::MetricsEndpoint::kSlice));
  while (on.on.store.waiting() > 0) on.on.store.answer_all();
  on.turn_all();
  CHECK(on.streams_in(on.served.next_answer(scraper).body) ==
        std::ptrdiff_t{2 * api::MetricsEndpoint::kSlice - 1});
}

TEST_CASE("who asks while a scrape runs gets the next one, one for all who want the same form") {
  ServedMetrics on(api::MetricsEndpoint::kSlice + 1);
  std::vector<Client*> scrapers;
  for (const char* accept : {"*/*", "*/*", "*/*", kOpenMetrics}) {
    scrapers.push_back(&on.served.connect());
    scrapers.back()->send(ServedMetrics::request("/metrics", accept));
    REQUIRE(on.served.turn_until([&] { return on.served.requests.size() == scrapers.size(); }));
  }
  CHECK(on.begun == 1);
  on.turn_all();
  for (Client* each : scrapers)
    CHECK(on.streams_in(on.served.next_answer(*each).body) ==
          std::ptrdiff_t{api::MetricsEndpoint::kSlice + 1});
  CHECK(on.begun == 3);
}

TEST_CASE("what takes long to measure is waited for, but not for ever") {
  ServedMetrics on;
  on.is_measured = false;
  Client& patient = on.served.connect();
  patient.send(ServedMetrics::request("/metrics"));
  REQUIRE(on.served.turn_until([&] { return !on.later.empty(); }));
  on.turn();
  CHECK(on.later.size() == 1);
  on.is_measured = true;
  on.turn();
  CHECK(on.later.empty());
  CHECK(on.served.next_answer(patient).status == 200);
  on.is_measured = false;
  Client& impatient = on.served.connect();
  impatient.send(ServedMetrics::request("/metrics"));
  REQUIRE(on.served.turn_until([&] { return !on.later.empty(); }));
  for (int i = 0; i < api::MetricsEndpoint::kPatience; ++i) on.turn();
  CHECK(on.later.empty());
  CHECK(on.served.next_answer(impatient).status == 200);
}

TEST_CASE("a scraper that has gone harms nobody") {
  ServedMetrics on(api::MetricsEndpoint::kSlice + 1);
  Client& scraper = on.served.connect();
  scraper.send(ServedMetrics::request("/metrics"));
  REQUIRE(on.served.turn_until([&] { return !on.later.empty(); }));
  scraper.reset();
  on.turn_all();
  CHECK(on.served.answer_to(on.served.connect(), ServedMetrics::request("/other")).body == "other");
}

}  // namespace
}  // namespace sc::test
