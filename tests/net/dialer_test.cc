#include "net/dialer.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/dial_fixture.h"
#include "support/catch.h"
#include "support/fake_host.h"
#include "support/fd_count.h"
#include "support/full_fd_table.h"
#include "support/loop_until.h"
#include "support/system_resolver.h"
#include "support/tcp_peer.h"

namespace sc::test {
namespace {

using net::Address;
using net::DialFailure;
using net::DialTry;
using namespace std::chrono_literals;

TEST_CASE_METHOD(DialFixture, "an address is dialed and the socket works") {
  TcpListener listener;
  dial("127.0.0.1", listener.port());
  CHECK(dialed_ip() == "127.0.0.1");
  CHECK(outcome.dialed->address.port() == listener.port());
  TcpPeer server = listener.accept();
  TcpPeer client(std::move(outcome.dialed->fd));
  client.send_all("ping");
  CHECK(server.receive(4) == "ping");
}

TEST_CASE_METHOD(DialFixture, "a refused address fails as refused, naming backend and cause") {
  const ClosedPort closed;
  dial("127.0.0.1", closed.port());
  check_failed(DialFailure::refused, "ECONNREFUSED");
  CHECK(outcome.error.message == "backend 127.0.0.1:" + std::to_string(closed.port()) +
                                     ": Connection refused (ECONNREFUSED)");
}

TEST_CASE_METHOD(DialFixture, "an address that the host refuses at once fails a turn later") {
  dial("255.255.255.255", 9);
  check_failed(DialFailure::host, "255.255.255.255:9");
  CHECK(outcome.error.error == ENETUNREACH);
  CHECK(outcome.error.message ==
        "this host cannot dial backend 255.255.255.255:9: Network is unreachable (ENETUNREACH); "
        "this host has no route to it; `ip route get 255.255.255.255` shows the route");
}

TEST_CASE_METHOD(DialFixture, "when the first address refuses the next one is tried at once") {
  TcpListener listener("127.0.0.2");
  host.add_name("two.test", {"127.0.0.1", "127.0.0.2"});
  auto fastest = std::chrono::nanoseconds::max();
  for (int i = 0; i < 10; ++i) {  // a busy host may be slow once
    calls = 0;
    const auto before = std::chrono::steady_clock::now();
    dial("two.test", listener.port());
    CHECK(dialed_ip() == "127.0.0.2");
    fastest = std::min(fastest, std::chrono::steady_clock::now() - before);
    if (fastest < net::Dialer::kAttemptDelay) break;
  }
  CHECK(fastest < net::Dialer::kAttemptDelay);
}

TEST_CASE_METHOD(DialFixture, "a name with IPv6 is reached where the listener has IPv4 alone") {
  TcpListener listener;
  // Whether the host has IPv6 and refuses, or has none: the first of either family fails.
  host.add_name("both.test", {"::1", "::1", "127.0.0.1"});
  dial("both.test", listener.port());
  CHECK(dialed_ip() == "127.0.0.1");
}

TEST_CASE_METHOD(DialFixture, "addresses that fail at once make room for the next") {
  TcpListener listener;
  host.add_name("three.test", {"255.255.255.255", "255.255.255.255", "127.0.0.1"});
  dial("three.test", listener.port());
  CHECK(dialed_ip() == "127.0.0.1");
}

TEST_CASE_METHOD(DialFixture, "when the first address is silent the next is tried beside it") {
  SilentListener silent("127.0.0.1");
  TcpListener listener("127.0.0.2", silent.port());
  host.add_name("two.test", {"127.0.0.1", "127.0.0.2"});
  const std::size_t fds_before = fd_count();
  const auto before = std::chrono::steady_clock::now();
  dial("two.test", silent.port());
  CHECK(dialed_ip() == "127.0.0.2");
  CHECK(std::chrono::steady_clock::now() - before >= net::Dialer::kAttemptDelay - 2ms);
  CHECK(fd_count() == fds_before + 1);  // the one that lost is closed
}

TEST_CASE_METHOD(DialFixture, "a silent first address may still win over one that refuses later") {
  SilentListener silent("127.0.0.1");
  host.add_name("two.test", {"127.0.0.1", "127.0.0.2"});
  options.timeout = 9s;
  dial("two.test", silent.port());
  // The second is refused meanwhile; room in the backlog lets the first's next SYN through, which
  // the kernel sends after 1 s.
  bool refused_by_now = false;
  loop::Timer later(loop, [&] { refused_by_now = true; });
  later.start(net::Dialer::kAttemptDelay + 100ms);
  REQUIRE(loop_until(loop, [&] { return refused_by_now; }));
  CHECK(calls == 0);
  silent.listener.accept().close();
  CHECK(dialed_ip() == "127.0.0.1");
}

TEST_CASE_METHOD(DialFixture, "when every address refuses the dial fails as refused") {
  const ClosedPort closed;
  host.add_name("three.test", {"127.0.0.1", "127.0.0.2", "127.0.0.3"});
  dial("three.test", closed.port());
  check_failed(DialFailure::refused, "three.test");
}

TEST_CASE_METHOD(DialFixture, "an address that never answers fails as timeout") {
  const SilentListener silent;
  options.timeout = 50ms;
  dial("127.0.0.1", silent.port());
  check_failed(DialFailure::timeout, "50ms");
}

TEST_CASE_METHOD(DialFixture, "a timeout tells what the other addresses said") {
  const SilentListener silent("127.0.0.2");
  host.add_name("two.test", {"127.0.0.1", "127.0.0.2"});
  options.timeout = 1s;  // a busy host needs some of it for the first one
  dial("two.test", silent.port());
  check_failed(DialFailure::timeout, "ECONNREFUSED");
  CHECK(outcome.error.error == 0);  // that was the other one's
}

TEST_CASE_METHOD(DialFixture, "out of descriptors a dial fails as exhausted") {
  const FullFdTable full;
  dial("127.0.0.1", 9);
  check_failed(DialFailure::exhausted, "EMFILE");
}

TEST_CASE_METHOD(DialFixture,
                 "a host that polls no further descriptor fails the dial as exhausted") {
  const TcpListener listener;
  host.refuse_poll_after(0);
  dial("127.0.0.1", listener.port());
  check_failed(DialFailure::exhausted, "epoll_ctl");
}

TEST_CASE_METHOD(DialFixture, "a socket that reached itself counts as refused") {
  host.connect_from_target();
  dial("127.0.0.1", unused_port());
  check_failed(DialFailure::refused, "ECONNREFUSED");
}

TEST_CASE_METHOD(DialFixture,
                 "a first address that connects leaves no trace, unless it is wanted") {
  const TcpListener listener;
  options.traces_all = GENERATE(false, true);
  dial("127.0.0.1", listener.port());
  REQUIRE(finishes());
  CHECK_FALSE(outcome.trace.resolved_at);
  REQUIRE(outcome.trace.tried.size() == (options.traces_all ? 1 : 0));
  if (options.traces_all) CHECK(outcome.trace.tried[0].result == DialTry::Result::connected);
}

TEST_CASE_METHOD(DialFixture,
                 "each address that was tried is told with what came of it, in order") {
  const SilentListener silent("127.0.0.1");
  const TcpListener listener("127.0.0.3", silent.port());
  host.add_name("four.test", {"255.255.255.255", "127.0.0.1", "127.0.0.2", "127.0.0.3"});
  dial("four.test", silent.port());
  CHECK(dialed_ip() == "127.0.0.3");
  const net::DialTrace& trace = outcome.trace;
  CHECK(trace.resolved_at);
  CHECK_FALSE(trace.is_resolving);
  REQUIRE(trace.tried.size() == 4);
  std::vector<std::string> ips;
  for (const DialTry& each : trace.tried) ips.push_back(each.address.address().ip());
  CHECK(ips == std::vector<std::string>{"255.255.255.255", "127.0.0.1", "127.0.0.2", "127.0.0.3"});
  CHECK(trace.tried[0].result == DialTry::Result::failed);
  CHECK(trace.tried[0].error == ENETUNREACH);
  CHECK(trace.tried[1].result == DialTry::Result::abandoned);
  CHECK(trace.tried[1].took >= net::Dialer::kAttemptDelay - 2ms);
  CHECK(trace.tried[2].result == DialTry::Result::failed);
  CHECK(trace.tried[2].error == ECONNREFUSED);
  CHECK(trace.tried[3].result == DialTry::Result::connected);
}

TEST_CASE_METHOD(DialFixture, "of many addresses the first are told, and the one that connects") {
  const TcpListener listener;
  std::vector<std::string> ips;
  for (int i = 2; i < 22; ++i) ips.push_back("127.0.0." + std::to_string(i));
  const bool connects = GENERATE(false, true);
  if (connects) ips.emplace_back("127.0.0.1");
  host.add_name("many.test", ips);
  dial("many.test", listener.port());
  REQUIRE(finishes());
  const auto& tried = outcome.trace.tried;
  REQUIRE(tried.size() == net::DialTrace::kMost);
  CHECK(tried.front().address.to_string() == "127.0.0.2:" + std::to_string(listener.port()));
  CHECK(tried.back().result == (connects ? DialTry::Result::connected : DialTry::Result::failed));
}

TEST_CASE_METHOD(DialFixture, "a refusal counts for more than what failed after it") {
  const ClosedPort closed;
  host.add_name("two.test", {"127.0.0.1", "255.255.255.255"});
  dial("two.test", closed.port());
  check_failed(DialFailure::refused, "ECONNREFUSED");
  CHECK(outcome.error.error == ECONNREFUSED);
  CHECK(outcome.error.message ==
        "backend two.test:" + std::to_string(closed.port()) + ": " + outcome.error.cause);
}

TEST_CASE_METHOD(DialFixture, "what this host lacks counts for more than what addresses said") {
  const int allowed = GENERATE(0, 1);  // the one that cannot be polled: the first, the second
  const ClosedPort closed;
  host.add_name("nobody.test", {});
  host.add_name("two.test", {"127.0.0.1", "127.0.0.2"});
  dial("nobody.test", 80);  // what the loop polls for look-ups it has from then on
  REQUIRE(finishes());
  calls = 0;
  host.refuse_poll_after(allowed);
  dial("two.test", closed.port());
  check_failed(DialFailure::exhausted, "epoll_ctl");
  CHECK(outcome.error.error == ENOSPC);  // not the refusal's
  REQUIRE(outcome.trace.tried.size() == 2);
  CHECK(outcome.trace.tried[allowed == 0 ? 1 : 0].error == ECONNREFUSED);
}

TEST_CASE_METHOD(DialFixture, "what is under way can be asked for, and counts as abandoned") {
  const SilentListener silent;
  dial("127.0.0.1", silent.port());
  const net::DialTrace trace = dialer->take_trace();
  REQUIRE(trace.tried.size() == 1);
  CHECK(trace.tried[0].result == DialTry::Result::abandoned);
  host.hang_name("slow.test");
  dial("slow.test", 80);
  CHECK(dialer->take_trace().is_resolving);
  dialer.reset();
  host.forget_name("slow.test");  // no server is asked for it
  host.answer_names();
  REQUIRE(loop_until_seen(loop, [] { return !net::Resolver::is_busy(); }));
}

TEST_CASE_METHOD(DialFixture, "a dialer destroyed while it connects says nothing, leaves nothing") {
  const SilentListener silent("127.0.0.1");
  const SilentListener other("127.0.0.2", silent.port());
  host.add_name("two.test", {"127.0.0.1", "127.0.0.2"});
  const std::size_t before = fd_count();
  dial("two.test", silent.port());
  REQUIRE(loop_until(loop, [&] { return fd_count() == before + 1; }));
  bool both = false;
  loop::Timer later(loop, [&] { both = true; });
  later.start(net::Dialer::kAttemptDelay + 20ms);
  REQUIRE(loop_until(loop, [&] { return both; }));
  CHECK(fd_count() == before + 2);
  dialer.reset();
  CHECK(fd_count() == before);
  turn(loop);
  CHECK(calls == 0);
}

// Somebody else has a copy of the socket that a dialer is given.
struct GivenFixture : DialFixture {
  base::Fd copy;

  int dial_by_given(std::uint16_t port) { return dial_by_given("127.0.0.1", port); }
  int dial_by_given(const std::string& to, std::uint16_t port) {
    base::Fd socket = net::make_socket(AF_INET);
    REQUIRE(socket);
    copy = base::Fd(::dup(socket.get()));
    const int fd = socket.get();
    dialer.emplace(
        loop, base::HostPort{to, port}, options,
        [this](net::Dialer::Outcome told) {
          ++calls;
          outcome = std::move(told);
        },
        std::move(socket));
    return fd;
  }
};

TEST_CASE_METHOD(GivenFixture, "an address is dialed by the socket that is given") {
  const TcpListener listener;
  const int given = dial_by_given(listener.port());
  REQUIRE(finishes());
  REQUIRE(outcome.dialed);
  CHECK(outcome.dialed->fd.get() == given);
  CHECK(outcome.dialed->by_given);
  dialer.reset();
  CHECK_FALSE(net::is_closed(copy.get()));
  calls = 0;
  dial("127.0.0.1", listener.port());
  REQUIRE(finishes());
  REQUIRE(outcome.dialed);
  CHECK_FALSE(outcome.dialed->by_given);
}

TEST_CASE_METHOD(GivenFixture, "a given socket goes with its dialer, whoever has a copy") {
  const TcpListener listener;
  const SilentListener silent;
  SECTION("while nobody answers") { dial_by_given(silent.port()); }
  SECTION("when it was answered and nobody was told") { dial_by_given(listener.port()); }
  CHECK_FALSE(net::is_closed(copy.get()));
  dialer.reset();
  CHECK(net::is_closed(copy.get()));
  CHECK(calls == 0);
}

TEST_CASE_METHOD(GivenFixture, "a given socket whose time is over is ended, whoever has a copy") {
  options.timeout = 30ms;
  const SilentListener silent;
  dial_by_given(silent.port());
  check_failed(DialFailure::timeout, "no answer");
  dialer.reset();
  CHECK(net::is_closed(copy.get()));
}

// Who has kept it knows it by its number, which must not become another descriptor's.
TEST_CASE_METHOD(GivenFixture, "a given socket that fails stays open as long as its dialer") {
  int given = -1;
  SECTION("the host refuses at once") { given = dial_by_given("255.255.255.255", 9); }
  SECTION("nobody listens") { given = dial_by_given(TcpListener().port()); }
  SECTION("it cannot be watched") {
    host.refuse_poll_after(0);
    const TcpListener listener;
    given = dial_by_given(listener.port());
  }
  REQUIRE(finishes());
  CHECK_FALSE(outcome.dialed);
  CHECK(::fcntl(given, F_GETFD) >= 0);
  CHECK(net::socket_cookie(given) == net::socket_cookie(copy.get()));
  dialer.reset();
  CHECK(::fcntl(given, F_GETFD) < 0);
  CHECK(net::is_closed(copy.get()));
}

TEST_CASE_METHOD(DialFixture, "a dialer destroyed right after a failure at once says nothing") {
  dial("255.255.255.255", 9);
  dialer.reset();
  turn(loop);
  CHECK(calls == 0);
}

TEST_CASE_METHOD(DialFixture, "a dialer may be destroyed by what it calls") {
  TcpListener listener;
  const SilentListener silent;
  const ClosedPort closed;
  host.add_name("nobody.test", {});
  options.timeout = 50ms;
  struct Target {
    std::string host;
    std::uint16_t port;
  };
  for (const Target& target :
       {Target{"127.0.0.1", listener.port()}, Target{"127.0.0.1", closed.port()},
        Target{"127.0.0.1", silent.port()}, Target{"nobody.test", 80},
        Target{"255.255.255.255", 9}}) {
    CAPTURE(target.host, target.port);
    dialer.emplace(loop, base::HostPort{target.host, target.port}, options,
                   [this, held = std::make_unique<int>(1)](net::Dialer::Outcome) {
                     dialer.reset();
                     calls += *held;
                   });
    CHECK(loop_until(loop, [&] { return !dialer; }));
  }
  CHECK(calls == 5);
}

TEST_CASE_METHOD(DialFixture, "many dials at once all come to their end") {
  TcpListener listener("127.0.0.1", 0, 256);
  const ClosedPort closed;
  host.add_name("many.test", {"127.0.0.3", "127.0.0.1"});
  const std::size_t before = fd_count();
  {
    std::vector<std::unique_ptr<net::Dialer>> dialers;
    int dialed = 0;
    int failed = 0;
    for (int i = 0; i < 100; ++i)
      dialers.push_back(std::make_unique<net::Dialer>(
          loop, base::HostPort{"many.test", i % 2 == 0 ? listener.port() : closed.port()}, options,
          [&](net::Dialer::Outcome told) { told.dialed ? ++dialed : ++failed; }));
    REQUIRE(loop_until(loop, [&] { return dialed + failed == 100; }));
    CHECK(dialed == 50);
    CHECK(failed == 50);
  }
  CHECK(fd_count() == before);
}

TEST_CASE("families are tried in turns, beginning with the first one's") {
  const auto addresses = [](const std::vector<std::string>& ips) {
    std::vector<Address> out;
    for (const std::string& ip : ips) out.push_back(*Address::parse_ip(ip, 80));
    return out;
  };
  struct Row {
    std::vector<std::string> given;
    std::vector<std::string> expected;
  };
  const std::vector<Row> rows{
      {{}, {}},
      {{"1.1.1.1"}, {"1.1.1.1"}},
      {{"1.1.1.1", "1.1.1.2"}, {"1.1.1.1", "1.1.1.2"}},
      {{"::1", "::2"}, {"::1", "::2"}},
      {{"::1", "1.1.1.1"}, {"::1", "1.1.1.1"}},
      {{"1.1.1.1", "::1"}, {"1.1.1.1", "::1"}},
      {{"::1", "::2", "::3", "1.1.1.1"}, {"::1", "1.1.1.1", "::2", "::3"}},
      {{"::1", "::2", "1.1.1.1", "1.1.1.2"}, {"::1", "1.1.1.1", "::2", "1.1.1.2"}},
      {{"1.1.1.1", "::1", "::2", "::3"}, {"1.1.1.1", "::1", "::2", "::3"}},
      {{"1.1.1.1", "1.1.1.2", "1.1.1.3", "::1", "::2"},
       {"1.1.1.1", "::1", "1.1.1.2", "::2", "1.1.1.3"}},
  };
  for (const Row& row : rows)
    CHECK(net::interleave_families(addresses(row.given)) == addresses(row.expected));
}

}  // namespace
}  // namespace sc::test
