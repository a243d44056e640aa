#include "relay/homes.h"

#include <chrono>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "relay/tcp_pair.h"
#include "relay/worker_pool.h"
#include "support/catch.h"
#include "support/loop_until.h"

namespace sc::test {
namespace {

using namespace std::chrono_literals;

// Two workers. One that is not started takes nothing, as one that stands still.
struct HomesFixture {
  HomesFixture() {
    for (std::size_t i = 0; i < 2; ++i)
      workers.push_back(std::make_unique<relay::Worker>(
          i, relay::SessionOptions{2s, 0ms, {}}, common, nullptr, workers,
          [this](relay::WorkerEvent event) { inbox.send(std::move(event)); }));
  }
  ~HomesFixture() {
    for (const auto& worker : workers) worker->send(relay::Shutdown{});
    for (const auto& worker : workers) CHECK(worker->join(10s));
    resolver.stop();
  }

  std::uint16_t open(std::uint64_t id) {
    base::Fd listener = listen_on_loopback();
    const std::uint16_t port = port_of(listener);
    relay::SessionSpec spec;
    spec.port = port;
    spec.backend = {"127.0.0.1", port_of(backend)};
    counters.push_back(std::make_shared<relay::StreamCounters>());
    homes.open({id, std::make_shared<const relay::SessionSpec>(spec), counters.back()},
               std::move(listener));
    return port;
  }
  std::optional<base::Result<void>>& ask(std::uint64_t id) {
    answers.push_back(std::make_unique<std::optional<base::Result<void>>>());
    auto& answer = *answers.back();
    homes.when_accepting(id, [&answer](base::Result<void> result) { answer = std::move(result); });
    return answer;
  }
  void tick(unsigned times = relay::Homes::kPatience) {
    for (unsigned i = 0; i < times; ++i) homes.tick();
  }
  template <class Condition>
  void turn_until(Condition condition) {
    REQUIRE(loop_until(control, std::move(condition)));
  }

  // By the member's name in a capture: clang 14 crashes where the inner lambda captures `this`.
  void handle(const relay::WorkerEvent& event) {
    std::visit(
        [&homes = homes](const auto& each) {
          if constexpr (requires { homes.handle(each); }) homes.handle(each);
        },
        event);
  }

  loop::Loop control;
  base::Fd backend = listen_on_loopback();
  relay::Admission admission{{}, [] {}};
  base::SystemClock clock;
  net::Resolver resolver{{}, clock};
  relay::Common common{.admission = admission, .resolver = resolver};
  std::vector<std::shared_ptr<relay::StreamCounters>> counters;
  std::vector<std::unique_ptr<std::optional<base::Result<void>>>> answers;
  std::vector<std::pair<std::uint64_t, int>> moved;
  std::vector<std::unique_ptr<relay::Worker>> workers;
  relay::Homes homes{workers, [this](std::uint64_t id, int fd) { moved.emplace_back(id, fd); }};
  loop::Mailbox<relay::WorkerEvent> inbox{
      control, [this](const relay::WorkerEvent& event) { handle(event); }};
};

TEST_CASE_METHOD(HomesFixture, "a stream accepts once a worker has its listener") {
  open(1);
  const auto& answer = ask(1);
  CHECK_FALSE(answer);
  CHECK(homes.waits());
  workers[0]->start();
  turn_until([&] { return answer.has_value(); });
  CHECK(*answer);
  CHECK_FALSE(homes.waits());
  CHECK(ask(1));  // from now on it answers at once
  workers[1]->start();
}

TEST_CASE_METHOD(HomesFixture, "a listener that its worker does not take goes to the next one") {
  workers[0]->start();
  open(1);
  const std::uint16_t port = open(2);
  const auto& answer = ask(2);
  turn_until([&] { return ask(1).has_value(); });
  tick(relay::Homes::kPatience - 1);
  CHECK_FALSE(answer);
  tick(1);
  turn_until([&] { return answer.has_value(); });
  CHECK(*answer);
  CHECK(counters[1]->home == 0);
  CHECK(talks(connect_through(port, backend)));
  workers[1]->start();  // finds nothing to take
  CHECK(talks(connect_through(port, backend)));
}

TEST_CASE_METHOD(HomesFixture, "where no worker takes a listener, the answer is an error") {
  const std::uint16_t port = open(1);
  const auto& answer = ask(1);
  tick(relay::Homes::kTries * relay::Homes::kPatience - 1);
  CHECK_FALSE(answer);
  tick(1);
  REQUIRE(answer);
  CHECK(answer->error().code == base::Errc::unavailable);
  for (const auto& worker : workers) worker->start();  // the stream is served even so
  turn_until([&] { return !homes.waits(); });
  CHECK(talks(connect_through(port, backend)));
}

TEST_CASE_METHOD(HomesFixture, "a listener that its worker does not close is closed for it") {
  const std::uint16_t port = open(1);
  bool is_closed = false;
  homes.close(1, [&] { is_closed = true; });
  CHECK_FALSE(is_closed);
  tick();
  CHECK(is_closed);
  CHECK_FALSE(homes.waits());
  CHECK(net::listen_tcp(*net::Address::parse_ip("127.0.0.1", port), {}));
  for (const auto& worker : workers) worker->start();
}

TEST_CASE_METHOD(HomesFixture,
                 "a worker that stands still gets no stream, and loses its listeners") {
  for (const auto& worker : workers) worker->start();
  open(1);
  const std::uint16_t port = open(2);
  turn_until([&] { return ask(2).has_value(); });
  REQUIRE(counters[1]->home == 1);
  workers[1]->set_still(true);
  homes.leave(1);
  CHECK(counters[1]->home == 0);
  REQUIRE(moved.size() == 1);
  CHECK(moved.front().first == 2);
  const auto& answer = ask(2);
  turn_until([&] { return answer.has_value(); });
  CHECK(talks(connect_through(port, backend)));
  open(3);
  open(4);
  CHECK(counters[2]->home == 0);
  CHECK(counters[3]->home == 0);
  bool is_closed = false;
  homes.close(2, [&] { is_closed = true; });
  turn_until([&] { return is_closed; });
}

TEST_CASE_METHOD(HomesFixture,
                 "a stream at a worker that stands still moves when another worker is back") {
  for (const auto& worker : workers) worker->set_still(true);
  const std::uint16_t port = open(1);
  const auto& answer = ask(1);
  tick(relay::Homes::kTries * relay::Homes::kPatience);
  REQUIRE(answer);  // no worker answers
  CHECK_FALSE(*answer);
  const std::size_t home = counters[0]->home;
  const std::size_t other = 1 - home;
  workers[other]->set_still(false);
  workers[other]->start();
  tick();
  CHECK(counters[0]->home == other);
  turn_until([&] { return !homes.waits(); });
  CHECK(talks(connect_through(port, backend)));
  workers[home]->start();
}

}  // namespace
}  // namespace sc::test
