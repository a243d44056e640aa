#include "relay/failure_log.h"

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>
#include <vector>

#include "relay/counters.h"
#include "support/catch.h"

namespace sc::test {
namespace {

using relay::FailureBudget;
using relay::FailureLog;

relay::SessionEnd failure(core::SessionId id) {
  static const auto kSpec =
      std::make_shared<const relay::SessionSpec>(relay::SessionSpec{9000, {"db", 2000}, {}, {}});
  relay::SessionEnd end;
  end.id = id;
  end.spec = kSpec;
  end.reason = core::EndReason::backend_refused;
  end.phase = core::SessionPhase::connect;
  return end;
}

TEST_CASE("a stream's failures are told latest first, and the oldest are forgotten") {
  FailureLog log(std::make_shared<FailureBudget>());
  CHECK(log.told().sessions.empty());
  for (core::SessionId id = 1; id <= core::kMostFailures + 3; ++id) log.add(failure(id));
  const auto told = log.told().sessions;
  REQUIRE(told.size() == core::kMostFailures);
  CHECK(told.front().id == core::kMostFailures + 3);
  CHECK(told.back().id == 4);
  CHECK(told.front().backend == core::Backend{"db", 2000});
  CHECK(told.front().reason == core::EndReason::backend_refused);
}

TEST_CASE("many failing streams share what there is, and each keeps its latest") {
  const auto budget = std::make_shared<FailureBudget>();
  constexpr std::size_t kStreams = 2000;
  std::vector<std::unique_ptr<FailureLog>> logs;
  for (std::size_t i = 0; i < kStreams; ++i) logs.push_back(std::make_unique<FailureLog>(budget));
  for (core::SessionId id = 1; id <= core::kMostFailures; ++id) logs[0]->add(failure(id));
  for (core::SessionId id = 1001; id <= 1100; ++id)
    for (const auto& log : logs) log->add(failure(id));
  CHECK(budget->used <= FailureBudget::kMost + kStreams);
  std::size_t least = core::kMostFailures;
  for (const auto& log : logs) {
    const auto told = log->told().sessions;
    REQUIRE_FALSE(told.empty());
    CHECK(told.front().id == 1100);
    least = std::min(least, told.size());
  }
  CHECK(least >= FailureBudget::kMost / kStreams);
  CHECK(logs[0]->told().sessions.size() < core::kMostFailures);  // it has given way
  logs.clear();
  CHECK(budget->used == 0);
}

TEST_CASE("a stream has its part where others, that fail no more, hold all there is") {
  const auto budget = std::make_shared<FailureBudget>();
  std::vector<std::unique_ptr<FailureLog>> quiet;
  while (budget->used < FailureBudget::kMost) {
    quiet.push_back(std::make_unique<FailureLog>(budget));
    for (core::SessionId id = 1; id <= core::kMostFailures; ++id) quiet.back()->add(failure(id));
  }
  std::vector<std::unique_ptr<FailureLog>> later;
  for (std::size_t i = 0; i < 3 * quiet.size(); ++i) {
    later.push_back(std::make_unique<FailureLog>(budget));
    for (core::SessionId id = 1; id <= core::kMostFailures; ++id) later.back()->add(failure(id));
    CHECK(later.back()->told().sessions.size() == FailureBudget::kMost / (quiet.size() + i + 1));
  }
  CHECK(budget->used <= 24 * FailureBudget::kMost / 10);  // 1 + ln(4)
}

relay::SessionEnd failure_of(core::SessionId id, core::EndReason reason, const std::string& ip,
                             int error) {
  relay::SessionEnd end = failure(id);
  end.reason = reason;
  end.error = error;
  if (!ip.empty()) end.address = net::PackedAddress(*net::Address::parse_ip(ip, 80));
  end.times.accepted_wall = base::WallTime(std::chrono::seconds(id));
  return end;
}

TEST_CASE("one error of ever changing addresses evicts no other error of the same reason") {
  FailureLog log(std::make_shared<FailureBudget>());
  log.add(failure_of(1, core::EndReason::backend_refused, "10.0.0.1", EHOSTUNREACH));
  for (core::SessionId id = 2; id <= 151; ++id)
    log.add(failure_of(id, core::EndReason::backend_refused, "10.1.0." + std::to_string(id),
                       ECONNREFUSED));
  const core::Failures told = log.told();
  REQUIRE(told.sessions.size() == core::kMostFailures);
  CHECK(told.sessions.back().id == 1);
  CHECK(told.sessions.back().error == EHOSTUNREACH);
}

TEST_CASE("a frequent failure never evicts a rare one") {
  FailureLog log(std::make_shared<FailureBudget>());
  log.add(failure_of(1, core::EndReason::backend_reset, "10.0.0.1", ECONNRESET));
  for (core::SessionId id = 2; id <= 1001; ++id)
    log.add(failure_of(id, core::EndReason::client_reset, "10.0.0.1", ECONNRESET));
  const core::Failures told = log.told();
  REQUIRE(told.sessions.size() == core::kMostFailures);
  CHECK(told.sessions.front().id == 1001);
  CHECK(told.sessions.back().id == 1);
  CHECK(told.sessions.back().reason == core::EndReason::backend_reset);
  REQUIRE(told.groups.size() == 2);
  CHECK(told.groups[0].reason == core::EndReason::client_reset);
  CHECK(told.groups[0].address == "10.0.0.1:80");
  CHECK(told.groups[0].error == ECONNRESET);
  CHECK(told.groups[0].count == 1000);
  CHECK(told.groups[0].first == base::WallTime(std::chrono::seconds(2)));
  CHECK(told.groups[0].last == base::WallTime(std::chrono::seconds(1001)));
  CHECK(told.groups[0].sessions.size() == core::kMostFailures - 1);
  CHECK(told.groups[0].sessions.front() == 1001);
  CHECK(told.groups[1].count == 1);
  CHECK(told.groups[1].sessions == std::vector<core::SessionId>{1});
}

TEST_CASE("failures differ by reason, by address and by error") {
  FailureLog log(std::make_shared<FailureBudget>());
  using core::EndReason;
  log.add(failure_of(1, EndReason::backend_reset, "10.0.0.1", ECONNRESET));
  log.add(failure_of(2, EndReason::backend_reset, "10.0.0.2", ECONNRESET));
  log.add(failure_of(3, EndReason::backend_reset, "10.0.0.1", ETIMEDOUT));
  log.add(failure_of(4, EndReason::client_reset, "10.0.0.1", ECONNRESET));
  log.add(failure_of(5, EndReason::backend_reset, "10.0.0.1", ECONNRESET));
  const core::Failures told = log.told();
  REQUIRE(told.groups.size() == 4);
  CHECK(told.groups[0].sessions == std::vector<core::SessionId>{5, 1});
  CHECK(told.groups[0].count == 2);
}

TEST_CASE(
    "a session that reached no address counts for the address that failed, else the backend") {
  FailureLog log(std::make_shared<FailureBudget>());
  const auto tried = [](const std::string& ip, int error) {
    net::DialTry attempt;
    attempt.address = net::PackedAddress(*net::Address::parse_ip(ip, 80));
    attempt.result = net::DialTry::Result::failed;
    attempt.error = error;
    return attempt;
  };
  relay::SessionEnd refused = failure_of(1, core::EndReason::backend_refused, "", ECONNREFUSED);
  refused.trouble = std::make_unique<relay::SessionTrouble>();
  refused.trouble->tried = {tried("10.0.0.1", EHOSTUNREACH), tried("10.0.0.2", ECONNREFUSED)};
  log.add(std::move(refused));
  log.add(failure_of(2, core::EndReason::backend_unresolved, "", 0));
  const core::Failures told = log.told();
  REQUIRE(told.groups.size() == 2);
  CHECK(told.groups[0].address == "db:2000");
  CHECK(told.groups[1].address == "10.0.0.2:80");
}

TEST_CASE("a backend with ever new addresses evicts its own failures, not those of other reasons") {
  FailureLog log(std::make_shared<FailureBudget>());
  log.add(failure_of(1, core::EndReason::lifetime, "10.0.0.1", 0));
  for (core::SessionId id = 2; id <= 300; ++id)
    log.add(failure_of(id, core::EndReason::backend_refused,
                       "10.0." + std::to_string(id / 250) + "." + std::to_string(id % 250),
                       ECONNREFUSED));
  const core::Failures told = log.told();
  REQUIRE(told.sessions.size() == core::kMostFailures);
  REQUIRE(told.groups.size() == core::kMostFailures);
  CHECK(told.sessions.front().id == 300);
  CHECK(told.sessions.back().id == 1);
  CHECK(told.groups.back().reason == core::EndReason::lifetime);
}

TEST_CASE("the failures of two logs of a stream are merged by group") {
  FailureLog before(std::make_shared<FailureBudget>());
  FailureLog now(std::make_shared<FailureBudget>());
  before.add(failure_of(1, core::EndReason::client_reset, "10.0.0.1", ECONNRESET));
  before.add(failure_of(2, core::EndReason::lifetime, "10.0.0.1", 0));
  for (core::SessionId id = 3; id <= 150; ++id)
    now.add(failure_of(id, core::EndReason::client_reset, "10.0.0.1", ECONNRESET));
  core::Failures told = now.told();
  core::merge(told, before.told());
  REQUIRE(told.groups.size() == 2);
  CHECK(told.groups[0].count == 149);
  CHECK(told.groups[0].first == base::WallTime(std::chrono::seconds(1)));
  CHECK(told.groups[0].last == base::WallTime(std::chrono::seconds(150)));
  CHECK(told.groups[1].reason == core::EndReason::lifetime);
  REQUIRE(told.sessions.size() == core::kMostFailures);
  CHECK(told.groups[0].sessions.size() == core::kMostFailures - 1);
  CHECK(told.sessions.front().id == 150);
  CHECK(told.sessions.back().id == 2);
}

TEST_CASE("counters of a stream make room for failures when they are asked for, once") {
  relay::StreamCounters counters;
  const auto budget = std::make_shared<FailureBudget>();
  CHECK(counters.failures() == nullptr);
  relay::StreamFailures& failures = counters.failures(budget);
  CHECK(&counters.failures(budget) == &failures);
  CHECK(counters.failures() == &failures);
  counters.sessions_finished = 3;
  failures.ended[static_cast<std::size_t>(core::EndReason::killed)] = 2;
  const auto ended = counters.ended();
  CHECK(ended[static_cast<std::size_t>(core::EndReason::finished)] == 3);
  CHECK(ended[static_cast<std::size_t>(core::EndReason::killed)] == 2);
  CHECK(ended[static_cast<std::size_t>(core::EndReason::internal)] == 0);
}

}  // namespace
}  // namespace sc::test
