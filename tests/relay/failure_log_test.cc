#include "relay/failure_log.h"

#include <algorithm>
#include <memory>
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
  CHECK(log.told().empty());
  for (core::SessionId id = 1; id <= core::kMostFailures + 3; ++id) log.add(failure(id));
  const auto told = log.told();
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
    const auto told = log->told();
    REQUIRE_FALSE(told.empty());
    CHECK(told.front().id == 1100);
    least = std::min(least, told.size());
  }
  CHECK(least >= FailureBudget::kMost / kStreams);
  CHECK(logs[0]->told().size() < core::kMostFailures);  // it has given way
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
    CHECK(later.back()->told().size() == FailureBudget::kMost / (quiet.size() + i + 1));
  }
  CHECK(budget->used <= 24 * FailureBudget::kMost / 10);  // 1 + ln(4)
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
