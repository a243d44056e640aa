#include <future>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "integration/daemon_fixture.h"
#include "support/catch.h"

namespace sc::test {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

TEST_CASE_METHOD(DaemonFixture,
                 "a stream that was answered ok carries bytes and is back after a restart") {
  CHECK(create(first) == "ok");
  CHECK(talks(connect(first)));
  restart();
  CHECK(json::parse(daemon->get("/getstreams").body).size() == 1);
  CHECK(talks(connect(first)));
}

TEST_CASE_METHOD(DaemonFixture,
                 "removing one stream leaves another's session alone and its own in peace") {
  create(first);
  create(first + 1);
  const Pair removed = connect(first);
  const Pair other = connect(static_cast<std::uint16_t>(first + 1));
  CHECK(json::parse(daemon->get("/removestream/" + std::to_string(first)).body)["result"] == "ok");
  CHECK(talks(removed));
  CHECK(talks(other));
  CHECK(net::listen_tcp(net::Address::any_v4(first), {}));
}

TEST_CASE_METHOD(DaemonFixture,
                 "a stream whose port is taken at the start is listed, and opens once it is free") {
  create(first);
  create(first + 1);
  daemon.reset();
  auto squatter = net::listen_tcp(net::Address::any_v4(first), {});
  REQUIRE(squatter);
  daemon.emplace(state, first);
  CHECK(json::parse(daemon->get("/getstreams").body).size() == 2);
  CHECK(talks(connect(static_cast<std::uint16_t>(first + 1))));
  squatter->reset();
  CHECK(create(first) == "ok");  // the same create tries it at once
  CHECK(talks(connect(first)));
}

TEST_CASE_METHOD(DaemonFixture, "a stop lets a session end, and comes when it has") {
  create(first);
  std::optional<Pair> pair = connect(first);
  CHECK(talks(*pair));
  daemon->request_stop();
  CHECK(talks(*pair));
  pair.reset();
  daemon->wait_for_end();
}

TEST_CASE_METHOD(DaemonFixture, "a second stop ends it at once, with a reset for who is left") {
  create(first);
  const Pair pair = connect(first);
  CHECK(talks(pair));
  daemon->request_stop();
  while (daemon->api_accepts()) {  // or both would be taken for one
  }
  daemon->request_stop();
  daemon->wait_for_end();
  wait_for(pair.client.get(), POLLIN);
  CHECK(receive_some(pair.client).reset);
}

TEST_CASE_METHOD(DaemonFixture,
                 "a drain lets a session end, and leaves a stop nothing to wait for") {
  create(first);
  std::optional<Pair> pair = connect(first);
  CHECK(talks(*pair));
  const auto phase = [&] { return json::parse(daemon->get("/v1/status").body)["phase"]; };
  CHECK(phase() == "serving");
  CHECK(daemon->request("POST", "/v1/drain").status == 202);
  CHECK(phase() == "draining");
  CHECK(talks(*pair));
  CHECK(create(first + 1) == "error");
  pair.reset();
  while (phase() != "drained") {
  }
  CHECK(net::listen_tcp(net::Address::any_v4(first), {}));
  daemon->stop();
}

TEST_CASE_METHOD(DaemonFixture,
                 "a second stop in a drain ends it at once, with a reset for who is left") {
  create(first);
  const Pair pair = connect(first);
  CHECK(talks(pair));
  CHECK(daemon->request("POST", "/v1/drain").status == 202);
  daemon->request_stop();
  while (daemon->api_accepts()) {  // or both stops would be taken for one
  }
  daemon->request_stop();
  daemon->wait_for_end();
  wait_for(pair.client.get(), POLLIN);
  CHECK(receive_some(pair.client).reset);
}

TEST_CASE_METHOD(DaemonFixture, "a hundred creates and removes at once end as they were answered") {
  std::vector<std::future<std::string>> answers;
  for (int i = 0; i < 100; ++i)
    answers.push_back(std::async(std::launch::async, [this, i] {
      const std::string port = std::to_string(first + i % 10);
      const std::string target =
          i % 3 == 2 ? "/removestream/" + port : "/createstream/" + port + "/a:1";
      return json::parse(daemon->get(target).body)["result"].get<std::string>();
    }));
  for (auto& answer : answers) {
    const std::string result = answer.get();
    CHECK((result == "ok" || result == "error"));
  }
  const json before = json::parse(daemon->get("/getstreams").body);
  restart();
  CHECK(json::parse(daemon->get("/getstreams").body) == before);
}

}  // namespace
}  // namespace sc::test
