#include "relay/session.h"

#include <optional>
#include <string>
#include <vector>

#include "relay/session_fixture.h"

namespace sc::test {
namespace {

using namespace std::chrono_literals;
using relay::Session;

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

struct OwnBackendFixture : SessionFixture {
  OwnBackendFixture() {
    paths.add_listener(to);
    options.paths = &paths;
    via = std::make_shared<net::OwnDial>(net::DialOrigin{8999, nullptr}, to, net::Address());
  }
  OwnBackendFixture(const OwnBackendFixture&) = delete;
  OwnBackendFixture& operator=(const OwnBackendFixture&) = delete;
  ~OwnBackendFixture() { session.reset(); }  // before the paths

  net::LocalAddresses local{loop};
  net::OwnPaths paths{local};
  const net::Address to = net::local_address(listener.get());
};

TEST_CASE_METHOD(OwnBackendFixture,
                 "a ring that resets a session ends it as `loop` at any moment") {
  const bool is_connected = GENERATE(false, true);  // the session has seen its connect succeed
  start();
  if (is_connected) turn_until([&] { return session->state() == Session::State::relaying; });
  const std::string ring = "8999 -> 9000 -> 9001 -> 9000";
  {
    const net::Accepted accepted = accept_one(listener.get());
    const auto dial = paths.take(to.port(), accepted);
    REQUIRE(dial);
    dial->set_ring(ring);
    net::reset_on_close(accepted.fd.get());
  }
  turn_until_ended();
  CHECK(told[0].reason == core::EndReason::loop);
  CHECK(told[0].detail == ring);
  CHECK(told[0].error == 0);
  CHECK(told[0].phase == (is_connected ? core::SessionPhase::relay : core::SessionPhase::connect));
  CHECK(via->ring() == ring);
  CHECK(client_is_reset());
}

TEST_CASE_METHOD(OwnBackendFixture, "a session that ends announces no socket that is closed") {
  start();
  turn_until([&] { return session->state() == Session::State::relaying; });
  const net::Accepted accepted = accept_one(listener.get());
  bool is_announced = true;
  at_end = [&] { is_announced = paths.take(to.port(), accepted) != nullptr; };
  const bool is_cut = GENERATE(false, true);
  if (is_cut) {
    session->cut(core::EndReason::killed);
  } else {
    end_writes(client);
    end_writes(accepted.fd);
  }
  turn_until_ended();
  CHECK_FALSE(is_announced);
}

TEST_CASE_METHOD(OwnBackendFixture,
                 "a ring behind one address leaves no mark if another address connects") {
  auto other = net::listen_tcp(*net::Address::parse_ip("127.0.0.2", to.port()), {});
  REQUIRE(other);
  host.add_name("two.test", {"127.0.0.1", "127.0.0.2"});
  start("two.test", to.port());
  // Stops before the session sees its connect succeed.
  REQUIRE(loop_until(loop, [&] { return net::waiting_clients(listener.get()) > 0; }));
  {
    const net::Accepted accepted = accept_one(listener.get());
    const auto dial = paths.take(to.port(), accepted);
    REQUIRE(dial);
    dial->set_ring("8999 -> 9000 -> 9001 -> 9000");
    net::reset_on_close(accepted.fd.get());
  }
  turn_until([&] { return session->state() == Session::State::relaying; });
  CHECK(session->running().address == net::local_address(other->get()).to_string());
  CHECK(via->ring().empty());
  reset(client);
  turn_until_ended();
  CHECK(told[0].reason == core::EndReason::empty);
  CHECK(via->ring().empty());
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
                 "a backend without an address, and one whose name is not answered in time, end "
                 "their session as unresolved") {
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
  CHECK(ends == std::vector{core::EndReason::backend_unresolved});
  CHECK_THAT(dialed.front(),
             Catch::Contains(is_silent ? "did not answer within 50ms" : "host not found"));
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
  CHECK(ends == std::vector{core::EndReason::host});
  CHECK(client_is_reset());
  CHECK(counters->sessions_active == 0);
}

}  // namespace
}  // namespace sc::test
