#include "relay/session.h"

#include <optional>
#include <string>
#include <vector>

#include "relay/tcp_pair.h"
#include "support/catch.h"
#include "support/fake_host.h"

namespace sc::test {
namespace {

using namespace std::chrono_literals;
using core::EndReason;
using relay::Session;

// client <-> session -> backend; the session is made by start(), and destroyed by its own end
// unless `keep` is set.
struct SessionFixture {
  loop::Loop loop;
  FakeHost host;
  relay::PipePool pipes;
  std::vector<std::byte> buffer{relay::Pump::kBuffer};
  relay::SessionOptions options;
  std::shared_ptr<relay::StreamCounters> counters = std::make_shared<relay::StreamCounters>();
  base::Fd listener = listen_on_loopback();
  base::Fd client;
  std::vector<std::string> dialed;    // each call's trouble
  std::vector<core::EndReason> ends;  // each call's reason
  std::vector<core::EndedSession> told;
  bool keep = false;
  std::optional<Session> session;

  void start(const std::string& host_name, std::uint16_t port) {
    TcpPair pair = make_tcp_pair();
    client = std::move(pair.far);
    net::Accepted accepted;
    accepted.peer = net::local_address(client.get());
    accepted.fd = std::move(pair.near);
    relay::StreamContext stream;
    stream.id = 1;
    stream.spec = std::make_shared<const relay::SessionSpec>(
        relay::SessionSpec{9000, core::Backend{host_name, port}, {}, {}});
    stream.counters = counters;
    session.emplace(
        loop, 1, std::move(stream), std::move(accepted), options,
        relay::Pump::Resources{buffer, &pipes}, nullptr,
        [this](const std::string& trouble) { dialed.push_back(trouble); },
        [this](const relay::SessionEnd& end) {
          ends.push_back(end.reason);
          told.push_back(relay::to_told(end));
          if (!keep) session.reset();
        });
    CHECK(dialed.empty());
    CHECK(ends.empty());
    CHECK(session->state() == Session::State::dialing);
    CHECK(counters->sessions_active == 1);
  }
  void start() { start("127.0.0.1", port_of(listener)); }

  // Turns until the condition holds; fails after 10 s.
  template <class Condition>
  void turn_until(Condition condition) {
    bool late = false;
    loop::Timer deadline(loop, [&] { late = true; });
    deadline.start(10s);
    while (!condition()) {
      loop.run_once(false);
      REQUIRE_FALSE(late);
    }
  }
  // Long enough for what comes late, or twice, to show.
  void turn_for(std::chrono::milliseconds time) {
    bool due = false;
    loop::Timer timer(loop, [&] { due = true; });
    timer.start(time);
    while (!due) loop.run_once(true);
  }

  bool client_is_reset() const {
    wait_for_hangup(client.get());
    return receive_some(client).reset;
  }
};

TEST_CASE_METHOD(SessionFixture,
                 "a session tells once that it reached its backend, and once that it ended") {
  start();
  turn_until([&] { return !dialed.empty(); });
  CHECK(session->state() == Session::State::relaying);
  base::Fd backend = accept_one(listener.get()).fd;
  send_all(client, "hello");
  std::string got;
  turn_until([&] { return (got += receive_some(backend).bytes) == "hello"; });
  end_writes(client);
  end_writes(backend);
  turn_until([&] { return !ends.empty(); });
  turn_for(20ms);
  CHECK(dialed == std::vector<std::string>{""});
  CHECK(ends == std::vector{core::EndReason::finished});
  CHECK(counters->sessions_total == 1);
  CHECK(counters->sessions_active == 0);
}

TEST_CASE_METHOD(SessionFixture,
                 "a session that is cut while it dials resets its client and ends once") {
  host.hang_name("silent.test");
  start("silent.test", 1);
  turn_for(5ms);
  CHECK(session->state() == Session::State::dialing);
  session->cut(core::EndReason::drained);
  CHECK_FALSE(session);
  CHECK(ends == std::vector{core::EndReason::drained});
  CHECK(client_is_reset());
  host.forget_name("silent.test");
  host.answer_names();
  turn_for(20ms);
  CHECK(dialed.empty());
  CHECK(ends.size() == 1);
  CHECK(counters->sessions_active == 0);
}

TEST_CASE_METHOD(SessionFixture, "a cut before the loop has turned once ends it as well") {
  start();
  session->cut(core::EndReason::killed);
  CHECK(ends == std::vector{core::EndReason::killed});
  CHECK(client_is_reset());
  turn_for(20ms);
  CHECK(dialed.empty());
  CHECK(ends.size() == 1);
}

TEST_CASE_METHOD(SessionFixture, "a backend that refuses ends the session and resets the client") {
  const std::uint16_t port = port_of(listener);
  listener.reset();
  start("127.0.0.1", port);
  turn_until([&] { return !ends.empty(); });
  turn_for(20ms);
  REQUIRE(dialed.size() == 1);
  CHECK_THAT(dialed.front(), Catch::Contains("ECONNREFUSED"));
  CHECK(ends == std::vector{core::EndReason::backend_refused});
  CHECK(client_is_reset());
  CHECK(counters->sessions_active == 0);
}

TEST_CASE_METHOD(SessionFixture,
                 "a backend without an address, and one whose name is not answered in time, have "
                 "reasons of their own") {
  options.connect_timeout = 30ms;
  const bool is_silent = GENERATE(false, true);
  if (is_silent) {
    host.hang_name("backend.test");
  } else {
    host.forget_name("backend.test");
  }
  start("backend.test", 1);
  turn_until([&] { return !ends.empty(); });
  host.forget_name("backend.test");
  host.answer_names();
  turn_for(20ms);
  CHECK(dialed.size() == 1);
  CHECK(ends == std::vector{is_silent ? core::EndReason::backend_timeout
                                      : core::EndReason::backend_unresolved});
  CHECK(client_is_reset());
}

TEST_CASE_METHOD(SessionFixture, "a relaying session that is cut resets both sides") {
  start();
  turn_until([&] { return !dialed.empty(); });
  const base::Fd backend = accept_one(listener.get()).fd;
  session->cut(core::EndReason::killed);
  CHECK(ends == std::vector{core::EndReason::killed});
  CHECK(client_is_reset());
  wait_for_hangup(backend.get());
  CHECK(receive_some(backend).reset);
  CHECK(counters->sessions_active == 0);
}

TEST_CASE_METHOD(SessionFixture, "a second cut, after the end, does nothing") {
  keep = true;
  start();
  const bool relaying = GENERATE(false, true);
  if (relaying) turn_until([&] { return !dialed.empty(); });
  session->cut(core::EndReason::drained);
  CHECK(session->state() == Session::State::ended);
  session->cut(core::EndReason::killed);
  turn_for(20ms);
  CHECK(ends == std::vector{core::EndReason::drained});
  CHECK(counters->sessions_active == 1);  // until it is destroyed
  session.reset();
  CHECK(counters->sessions_active == 0);
}

TEST_CASE_METHOD(SessionFixture,
                 "a session that is destroyed while it dials or relays tells nothing") {
  start();
  const bool relaying = GENERATE(false, true);
  if (relaying) turn_until([&] { return !dialed.empty(); });
  session.reset();
  turn_for(20ms);
  CHECK(ends.empty());
  CHECK(counters->sessions_active == 0);
}

TEST_CASE_METHOD(SessionFixture,
                 "a host that polls no further descriptor ends the session as its own fault") {
  start();
  // The dialer's descriptor is watched by now; the client's is the next one.
  host.refuse_poll_after(0);
  turn_until([&] { return !ends.empty(); });
  CHECK(ends == std::vector{core::EndReason::internal});
  CHECK(client_is_reset());
  CHECK(counters->sessions_active == 0);
}

}  // namespace
}  // namespace sc::test
