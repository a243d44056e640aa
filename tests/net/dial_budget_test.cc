#include <optional>
#include <utility>

#include "net/dialer.h"
#include "support/catch.h"
#include "support/fake_host.h"
#include "support/loop_until.h"
#include "support/system_resolver.h"
#include "support/tcp_peer.h"

namespace sc::test {
namespace {

struct FewAttempts final : net::AttemptBudget {
  bool take_attempt() override {
    ++asked;
    if (left == 0) return false;
    --left;
    return true;
  }
  void give_attempt() override { ++left; }
  int left = 0;
  int asked = 0;
};

struct BudgetFixture {
  void dial(std::uint16_t port) {
    host.add_name("two.test", {"127.0.0.1", "127.0.0.2"});
    net::DialOptions options;
    options.budget = &budget;
    options.resolver = &names.client;
    dialer.emplace(loop, base::HostPort{"two.test", port}, options,
                   [this](net::Dialer::Outcome told) { outcome = std::move(told); });
  }
  bool reaches_second() {
    return loop_until(loop, [&] { return outcome.has_value(); }) && outcome->dialed &&
           outcome->dialed->address.ip() == "127.0.0.2";
  }

  loop::Loop loop;
  FakeHost host;
  SystemResolver names{loop};
  FewAttempts budget;
  std::optional<net::Dialer::Outcome> outcome;
  std::optional<net::Dialer> dialer;
};

TEST_CASE_METHOD(BudgetFixture,
                 "a second attempt at the same time starts once the budget allows it") {
  TcpListener silent("127.0.0.1", 0, 0);  // its backlog is full: it never answers
  const TcpPeer only = TcpPeer::connect(silent.port(), "127.0.0.1");
  TcpListener listener("127.0.0.2", silent.port());
  dial(silent.port());
  REQUIRE(loop_until(loop, [&] { return budget.asked >= 2; }));
  CHECK_FALSE(outcome);
  budget.left = 1;
  CHECK(reaches_second());
  CHECK(budget.left == 1);
}

TEST_CASE_METHOD(BudgetFixture, "an attempt after another one has failed needs no budget") {
  TcpListener listener("127.0.0.2");
  dial(listener.port());
  CHECK(reaches_second());
  CHECK(budget.asked == 0);
}

}  // namespace
}  // namespace sc::test
