#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>

#include "net/dial_fixture.h"
#include "support/catch.h"
#include "support/fd_count.h"

// Dialling a name: its look-up and what becomes of it.
namespace sc::test {
namespace {

using net::DialFailure;
using namespace std::chrono_literals;

// Between hold() and let_go(), a thread that reads this clock stops.
class HeldClock final : public base::Clock {
 public:
  base::WallTime wall() const override { return clock_.wall(); }
  base::Instant steady() const override {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !is_held_; });
    return clock_.steady();
  }
  std::string boot_id() const override { return clock_.boot_id(); }

  void hold() { set(true); }
  void let_go() { set(false); }

 private:
  void set(bool is_held) {
    const std::lock_guard lock(mutex_);
    is_held_ = is_held;
    changed_.notify_all();
  }

  base::SystemClock clock_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  bool is_held_ = false;
};

// Names are looked up on a thread that the test can stop.
struct HeldFixture : DialFixture {
  HeldFixture() { options.resolver = &client; }
  HeldFixture(const HeldFixture&) = delete;
  HeldFixture& operator=(const HeldFixture&) = delete;
  ~HeldFixture() {
    dialer.reset();
    clock.let_go();
    resolver.stop();
  }

  static constexpr std::chrono::milliseconds kLimit{100};
  HeldClock clock;
  net::Resolver resolver{SystemResolver::options(kLimit), clock};
  net::ResolverClient client{loop, resolver};
};

TEST_CASE_METHOD(DialFixture, "a name is looked up and dialed") {
  TcpListener listener;
  dial("localhost", listener.port());
  REQUIRE(finishes());
  REQUIRE(outcome.dialed);
  CHECK(outcome.dialed->address.is_loopback());
  CHECK_NOTHROW(listener.accept());
}

TEST_CASE_METHOD(DialFixture, "a name that does not resolve fails as unresolved, naming it") {
  host.add_name("nobody.test", {});
  for (int i = 0; i < 2; ++i) {  // the second finds the cached failure
    calls = 0;
    dial("nobody.test", 80);
    check_failed(DialFailure::unresolved, "cannot resolve nobody.test: host not found");
    CHECK(outcome.error.cause == "host not found");
    CHECK(outcome.trace.is_resolving);
  }
}

TEST_CASE_METHOD(DialFixture, "a name whose addresses are cached is dialled without a turn") {
  TcpListener listener;
  host.add_name("one.test", {"127.0.0.1"});
  const auto held = names.resolver.name("one.test");  // as a stream does
  dial("one.test", listener.port());
  CHECK(dialed_ip() == "127.0.0.1");
  calls = 0;
  dial("one.test", listener.port());
  CHECK(dialer->addresses().size() == 1);  // before the loop turns
  CHECK(dialed_ip() == "127.0.0.1");
  CHECK(outcome.trace.resolved_at);
}

TEST_CASE_METHOD(DialFixture, "the look-up has a time limit of its own") {
  SystemResolver impatient{loop, 100ms};
  options.resolver = &impatient.client;
  host.hang_name("slow.test");
  options.timeout = 20ms;
  const auto before = std::chrono::steady_clock::now();
  dial("slow.test", 80);
  check_failed(DialFailure::unresolved,
               "cannot resolve slow.test: the system's resolver did not answer within 100ms");
  CHECK(std::chrono::steady_clock::now() - before >= 100ms);
  dialer.reset();
  host.forget_name("slow.test");  // no server is asked for it
  host.answer_names();
}

TEST_CASE_METHOD(HeldFixture,
                 "a dial gives a resolver's thread that was paused a moment more to answer") {
  host.hang_name("slow.test");
  const bool answers = GENERATE(true, false);
  dial("slow.test", 80);
  clock.hold();
  loop::Timer later(loop, [&] { clock.let_go(); });
  if (answers) {
    later.start(kLimit + net::Dialer::kResolverSlack + net::Dialer::kResolverGrace / 10);
    check_failed(DialFailure::unresolved,
                 "cannot resolve slow.test: the system's resolver did not answer within 100ms");
  } else {
    check_failed(DialFailure::internal,
                 "cannot resolve slow.test: the resolver's thread does not answer");
  }
  host.forget_name("slow.test");  // no server is asked for it
  host.answer_names();
}

TEST_CASE_METHOD(DialFixture, "the time to connect begins when the name is resolved") {
  TcpListener listener;
  host.add_name("slow.test", {"127.0.0.1"});
  host.hang_name("slow.test");
  options.timeout = 30ms;
  dial("slow.test", listener.port());
  loop::Timer later(loop, [&] { host.answer_names(); });
  later.start(50ms);
  CHECK(dialed_ip() == "127.0.0.1");
}

TEST_CASE_METHOD(DialFixture, "an interface that the host lacks fails the dial, naming it") {
  dial("fe80::1%none0", 80);
  check_failed(DialFailure::host, "this host has no interface none0");
}

TEST_CASE_METHOD(DialFixture, "a dialer destroyed while it looks up says nothing, leaves nothing") {
  host.hang_name("slow.test");
  const std::size_t before = fd_count();
  dial("slow.test", 80);
  turn(loop);
  dialer.reset();
  CHECK(fd_count() == before);
  host.forget_name("slow.test");  // no server is asked for it
  host.answer_names();
  REQUIRE(loop_until_seen(loop, [] { return !net::Resolver::is_busy(); }));
  CHECK(calls == 0);
}

}  // namespace
}  // namespace sc::test
