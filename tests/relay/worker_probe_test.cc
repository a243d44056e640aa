#include "relay/worker_probe.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "relay/tcp_pair.h"
#include "relay/worker_pool.h"
#include "support/catch.h"
#include "support/loop_until.h"

namespace sc::test {
namespace {

using namespace std::chrono_literals;
using relay::Probed;

// Two workers that begin to run when they are told.
struct Workers {
  Workers() {
    for (std::size_t i = 0; i < 2; ++i)
      all.push_back(std::make_unique<relay::Worker>(
          i, relay::SessionOptions{2s, 0ms, {}}, common, nullptr, all,
          [this](relay::WorkerEvent event) { inbox.send(std::move(event)); }));
  }
  ~Workers() {
    for (const auto& worker : all) worker->send(relay::Shutdown{});
    for (const auto& worker : all) CHECK(worker->join(10s));
    resolver.stop();
  }

  loop::Loop control;
  relay::Admission admission{{}, [] {}};
  base::SystemClock clock;
  net::Resolver resolver{{}, clock};
  relay::Common common{.admission = admission, .resolver = resolver};
  std::vector<Probed> answers;
  std::vector<std::unique_ptr<relay::Worker>> all;
  relay::WorkerProbe probe{all};
  loop::Mailbox<relay::WorkerEvent> inbox{control, [this](const relay::WorkerEvent& event) {
                                            answers.push_back(std::get<Probed>(event));
                                            probe.note(answers.back());
                                          }};
};

TEST_CASE("workers answer how long a message waited for them") {
  Workers workers;
  CHECK(workers.probe.is_answered());  // nobody asked
  for (const auto& worker : workers.all) worker->start();
  const base::Instant began = std::chrono::steady_clock::now();
  workers.probe.ask();
  CHECK_FALSE(workers.probe.is_answered());
  REQUIRE(loop_until(workers.control, [&] { return workers.probe.is_answered(); }));
  const auto took = std::chrono::steady_clock::now() - began;
  const auto facts = workers.probe.facts();
  REQUIRE(facts.size() == 2);
  for (const relay::WorkerFacts& each : facts) {
    CHECK(each.loop_lag > 0ns);
    CHECK(each.loop_lag <= took);
    CHECK(each.cpu > 0ns);
    CHECK(each.sessions == 0);
    CHECK(each.pipes == 0);
  }
}

TEST_CASE("a worker that does not answer is shown with the time so far, and is asked twice") {
  Workers workers;
  workers.all[0]->start();
  workers.probe.ask();
  REQUIRE(loop_until(workers.control, [&] { return workers.answers.size() == 1; }));
  CHECK_FALSE(workers.probe.is_answered());
  const auto lag = workers.probe.facts()[1].loop_lag;
  CHECK(lag > 0ns);
  CHECK(workers.probe.facts()[1].loop_lag > lag);
  workers.probe.ask();
  workers.probe.ask();  // the first one again, and not the second
  workers.all[1]->start();
  REQUIRE(loop_until(workers.control, [&] { return workers.probe.is_answered(); }));
  CHECK(workers.answers.size() == 5);
  CHECK(workers.probe.facts()[1].loop_lag >= lag);
}

TEST_CASE("how long a worker was stuck is told once, after it came too late to be told") {
  Workers workers;
  workers.all[0]->start();
  const auto ask = [&] {
    workers.probe.ask();
    REQUIRE(loop_until(workers.control, [&] { return workers.probe.is_answered(); }));
    return workers.probe.facts()[1].loop_lag;
  };
  workers.probe.ask();
  const auto told_early = workers.probe.facts()[1].loop_lag;
  workers.all[1]->start();
  REQUIRE(loop_until(workers.control, [&] { return workers.probe.is_answered(); }));
  const auto late = workers.answers.back().worker == 1 ? workers.answers.back().waited
                                                       : workers.answers.front().waited;
  CHECK(late > told_early);
  CHECK(ask() >= late);
  const auto next = ask();
  const auto own = std::find_if(workers.answers.rbegin(), workers.answers.rend(),
                                [](const Probed& answer) { return answer.worker == 1; });
  CHECK(next == own->waited);
}

}  // namespace
}  // namespace sc::test
