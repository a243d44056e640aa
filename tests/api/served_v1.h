#pragma once

#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "api/fake_token_store.h"
#include "api/problem.h"
#include "api/routes.h"
#include "api/v1.h"
#include "core/conductor_fixture.h"
#include "http/client.h"
#include "support/fake_session_book.h"

namespace sc::test {

// The endpoints of v1 behind a server, asked by whoever `caller` is, over a conductor on the fakes,
// which do at once what they are asked.
struct ServedV1 {
  ServedV1() {
    const auto drain = [this](std::optional<std::chrono::milliseconds> timeout,
                              const core::Actor& actor) {
      drains.emplace_back(timeout, actor.name);
      on.conductor.drain();
    };
    api::add_v1_routes(routes,
                       {on.conductor, on.clock, [this] { return facts; }, drain, sessions, events});
    served.handler = [this](const http::Request& request, http::Responder responder) {
      routes.route(request, caller, std::move(responder));
      while (on.store.waiting() > 0 || !on.plane.closing.empty()) {
        on.store.answer_all();
        on.plane.finish_closing();
      }
    };
  }

  // `headers`: whole lines.
  Answer ask(const std::string& method, const std::string& target, const std::string& body = "",
             std::string headers = "") {
    if (!body.empty()) {
      if (headers.find("Content-Type") == std::string::npos)
        headers += "Content-Type: application/json\r\n";
      headers += "Content-Length: " + std::to_string(body.size()) + "\r\n";
    }
    return served.answer_to(
        served.connect(),
        method + " " + target + " HTTP/1.1\r\nHost: localhost\r\n" + headers + "\r\n" + body);
  }
  static std::string type_of(const Answer& answer) {
    const auto json = nlohmann::json::parse(answer.body, nullptr, false);
    return json.is_object() && json.contains("type") ? json["type"].get<std::string>() : "(none)";
  }

  ConductorFixture on;
  Served served;
  api::ServiceFacts facts;
  // What was asked for: its time-out, and by whom.
  std::vector<std::pair<std::optional<std::chrono::milliseconds>, std::string>> drains;
  FakeTokenStore token_store;
  api::TokenBook tokens{token_store, on.clock};
  FakeSessionBook sessions;
  // What waits for time to pass, and how much.
  std::vector<std::pair<std::chrono::milliseconds, base::Callback<void()>>> later;
  api::EventHub events{on.store, sessions, tokens, on.clock,
                       [this](std::chrono::milliseconds delay, base::Callback<void()> function) {
                         later.emplace_back(delay, std::move(function));
                       }};
  core::Caller caller{"tester", core::Role::admin, {}};
  api::Routes routes{
      [](int status, const std::string& detail) { return api::problem(status, detail); }};
};

}  // namespace sc::test
