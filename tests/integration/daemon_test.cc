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

struct DaemonFixture {
  std::uint16_t first = find_ten_ports();
  TempDir state;
  base::Fd backend = listen_on_loopback();
  std::optional<RunningDaemon> daemon;

  explicit DaemonFixture(std::chrono::milliseconds drain = 5s) {
    daemon.emplace(state, first, drain);
  }

  std::string create(int port) const {
    const Reply reply = daemon->get("/createstream/" + std::to_string(port) +
                                    "/127.0.0.1:" + std::to_string(port_of(backend)));
    return json::parse(reply.body)["result"];
  }
  void restart() {
    daemon.reset();
    daemon.emplace(state, first);
  }

  struct Pair {
    base::Fd client;
    base::Fd backend;
  };
  Pair connect(std::uint16_t port) const {
    base::Fd client = connect_to(port);
    base::Fd accepted = accept_one(backend.get()).fd;
    return {std::move(client), std::move(accepted)};
  }
  static bool talks(const Pair& pair) {
    send_all(pair.client, "hello");
    wait_for(pair.backend.get(), POLLIN);
    return receive_some(pair.backend).bytes == "hello";
  }
};

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

TEST_CASE_METHOD(DaemonFixture, "a store that hangs delays neither bytes nor reads of the API") {
  create(first);
  const Pair pair = connect(first);
  std::promise<void> release;
  daemon->hold_store(release.get_future());
  auto held = std::async(std::launch::async, [this] { return create(first + 1); });
  CHECK(talks(pair));
  CHECK(daemon->get("/status").status == 200);
  CHECK(json::parse(daemon->get("/getstreams").body).size() == 1);
  CHECK(held.wait_for(0s) != std::future_status::ready);
  release.set_value();
  CHECK(held.get() == "ok");
}

}  // namespace
}  // namespace sc::test
