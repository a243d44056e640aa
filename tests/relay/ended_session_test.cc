#include <cerrno>
#include <optional>
#include <string>

#include "relay/session_fixture.h"
#include "support/namespaces.h"
#include "support/tcp_peer.h"

// Each reason that a session can end with, provoked with real sockets, and what is told of it then.
namespace sc::test {
namespace {

using namespace std::chrono_literals;
using core::DialAttempt;
using core::EndReason;
using core::SessionPhase;
using relay::Session;

struct EndedFixture : SessionFixture {
  base::Fd backend;

  void relay() {
    start();
    turn_until([&] { return session->state() == Session::State::relaying; });
    backend = accept_one(listener.get()).fd;
  }
  void receive(const base::Fd& from, const std::string& bytes) {
    std::string got;
    turn_until([&] { return (got += receive_some(from).bytes) == bytes; });
  }
  const core::EndedSession& ended() {
    turn_until_ended();
    return told.front();
  }
  static void check_begins(const core::EndedSession& end, const std::string& begin) {
    CHECK_THAT(core::in_words(end), Catch::StartsWith(begin));
  }
};

TEST_CASE_METHOD(EndedFixture, "finished: what is told of a session that ended in order") {
  const auto before = std::chrono::system_clock::now();
  relay();
  send_all(client, "hello");
  receive(backend, "hello");
  send_all(backend, "bye");
  receive(client, "bye");
  end_writes(client);
  end_writes(backend);
  const core::EndedSession& end = ended();
  CHECK(end.reason == EndReason::finished);
  CHECK(end.phase == SessionPhase::close);
  CHECK(end.error == 0);
  CHECK(end.id == 1);
  CHECK(end.port == 9000);
  CHECK(end.client == net::local_address(client.get()).to_string());
  CHECK(end.address == "127.0.0.1:" + std::to_string(port_of(listener)));
  CHECK(end.backend == core::Backend{"127.0.0.1", port_of(listener)});
  CHECK(end.bytes_in == 5);
  CHECK(end.bytes_out == 3);
  CHECK_FALSE(end.resolved_after);
  REQUIRE(end.connected_after);
  REQUIRE(end.first_byte_after);
  CHECK(end.connected_after->count() > 0);
  CHECK(*end.first_byte_after > *end.connected_after);
  CHECK(end.ended_after >= *end.first_byte_after);
  CHECK(end.tried.empty());
  CHECK(end.accepted_at >= std::chrono::floor<std::chrono::milliseconds>(before));
  CHECK(end.accepted_at <= std::chrono::system_clock::now());
  check_begins(end, "both sides ended in order after ");
}

TEST_CASE_METHOD(EndedFixture, "client_reset: the client broke off, before or after its end") {
  relay();
  const bool is_closing = GENERATE(false, true);
  send_all(client, "hello");
  receive(backend, "hello");
  if (is_closing) {
    end_writes(backend);
    turn_until([&] { return receive_some(client).ended; });
  }
  reset(client);
  const core::EndedSession& end = ended();
  CHECK(end.reason == EndReason::client_reset);
  CHECK(end.phase == (is_closing ? SessionPhase::close : SessionPhase::relay));
  CHECK(end.error == ECONNRESET);
  CHECK_FALSE(end.first_byte_after);
  check_begins(end, "the client reset the connection (ECONNRESET) after ");
}

TEST_CASE_METHOD(EndedFixture, "backend_reset: the backend broke off") {
  relay();
  reset(backend);
  const core::EndedSession& end = ended();
  CHECK(end.reason == EndReason::backend_reset);
  CHECK(end.phase == SessionPhase::relay);
  CHECK(end.error == ECONNRESET);
  check_begins(end, "backend 127.0.0.1:" + std::to_string(port_of(listener)) +
                        " reset the connection (ECONNRESET) after ");
}

TEST_CASE_METHOD(EndedFixture, "backend_refused: every address refused, and each is told") {
  const ClosedPort closed;
  const std::string port = std::to_string(closed.port());
  host.add_name("two.test", {"127.0.0.2", "127.0.0.3"});
  const bool is_name = GENERATE(false, true);
  start(is_name ? "two.test" : "127.0.0.2", closed.port());
  const core::EndedSession& end = ended();
  CHECK(end.reason == EndReason::backend_refused);
  CHECK(end.phase == SessionPhase::connect);
  CHECK(end.error == ECONNREFUSED);
  CHECK(end.address.empty());
  CHECK(end.resolved_after.has_value() == is_name);
  CHECK_FALSE(end.connected_after);
  REQUIRE(end.tried.size() == (is_name ? 2 : 1));
  CHECK(end.tried[0].address == "127.0.0.2:" + port);
  for (const DialAttempt& each : end.tried) {
    CHECK(each.result == DialAttempt::Result::failed);
    CHECK(each.error == ECONNREFUSED);
    CHECK(each.took <= end.ended_after);
  }
  check_begins(end, "backend 127.0.0.2:" + port + " refused the connection (ECONNREFUSED) after ");
  if (is_name)
    CHECK_THAT(core::in_words(end), Catch::Contains("; also tried 127.0.0.3:" + port +
                                                    ": connection refused (ECONNREFUSED)"));
}

TEST_CASE_METHOD(EndedFixture, "an address that failed before another one was reached is told") {
  host.add_name("two.test", {"127.0.0.2", "127.0.0.1"});
  start("two.test", port_of(listener));
  turn_until([&] { return session->state() == Session::State::relaying; });
  backend = accept_one(listener.get()).fd;
  const core::SessionDetails details = session->details();
  reset(backend);
  for (const auto& tried : {details.tried, ended().tried}) {
    REQUIRE(tried.size() == 2);
    CHECK(tried[0].address == "127.0.0.2:" + std::to_string(port_of(listener)));
    CHECK(tried[0].result == DialAttempt::Result::failed);
    CHECK(tried[1].result == DialAttempt::Result::connected);
  }
}

TEST_CASE_METHOD(EndedFixture, "backend_timeout: nobody answered in time") {
  options.connect_timeout = 100ms;
  const TcpListener silent("127.0.0.1", 0, 0);  // its backlog is full: it drops what comes
  const TcpPeer only = TcpPeer::connect(silent.port());
  start("127.0.0.1", silent.port());
  const core::EndedSession& end = ended();
  CHECK(end.reason == EndReason::backend_timeout);
  CHECK(end.phase == SessionPhase::connect);
  CHECK(end.ended_after >= 99ms);  // the loop counts whole milliseconds
  REQUIRE(end.tried.size() == 1);
  CHECK(end.tried[0].result == DialAttempt::Result::abandoned);
  CHECK(end.tried[0].took >= 98ms);
  check_begins(end,
               "backend 127.0.0.1:" + std::to_string(silent.port()) + " did not answer within ");
}

TEST_CASE_METHOD(EndedFixture, "backend_unresolved: the name was not resolved in time") {
  host.hang_name("slow.test");
  start("slow.test", 1);
  const core::EndedSession& end = ended();
  host.forget_name("slow.test");  // no server is asked for it
  host.answer_names();
  CHECK(end.reason == EndReason::backend_unresolved);
  CHECK(end.phase == SessionPhase::resolve);
  CHECK(end.tried.empty());
  check_begins(end, "cannot resolve slow.test: the system's resolver did not answer within 50ms");
}

TEST_CASE_METHOD(EndedFixture, "backend_unresolved: the name is not known") {
  host.forget_name("nobody.test");
  start("nobody.test", 1);
  const core::EndedSession& end = ended();
  CHECK(end.reason == EndReason::backend_unresolved);
  CHECK(end.phase == SessionPhase::resolve);
  CHECK_FALSE(end.detail.empty());  // the resolver's words
  check_begins(end, "cannot resolve nobody.test: " + end.detail);
}

TEST_CASE_METHOD(EndedFixture, "idle_timeout: no byte moved for too long") {
  options.idle_timeout = 30ms;
  relay();
  const core::EndedSession& end = ended();
  CHECK(end.reason == EndReason::idle_timeout);
  CHECK(end.phase == SessionPhase::relay);
  CHECK(end.ended_after >= 29ms);
  check_begins(end, "no byte moved for as long as idle_timeout allows");
}

TEST_CASE_METHOD(EndedFixture, "lifetime: a session ends, by a reset, when it is so old") {
  const bool is_reached = GENERATE(true, false);
  if (is_reached) {
    options.lifetime = 1h;
    spec.lifetime = 60ms;
  } else {
    options.lifetime = 30ms;  // before the look-up's limit
  }
  if (is_reached) {
    relay();
    send_all(client, "still busy");
    receive(backend, "still busy");
  } else {
    host.hang_name("slow.test");
    start("slow.test", 1);
  }
  const core::EndedSession& end = ended();
  host.forget_name("slow.test");  // no server is asked for it
  host.answer_names();
  CHECK(end.reason == EndReason::lifetime);
  CHECK(end.phase == (is_reached ? SessionPhase::relay : SessionPhase::resolve));
  CHECK(end.ended_after >= (is_reached ? 60ms : 30ms));
  CHECK(client_is_reset());
  check_begins(end, "it was as old as lifetime allows: ");
}

TEST_CASE_METHOD(EndedFixture, "a stream that sets no lifetime for its sessions has its way") {
  options.lifetime = 10ms;
  options.idle_timeout = 60ms;
  spec.lifetime = 0ms;
  relay();
  CHECK(ended().reason == EndReason::idle_timeout);
}

TEST_CASE_METHOD(EndedFixture, "denied: nobody is led to where the service is controlled") {
  options.denied_ports = {port_of(listener)};
  start();
  const core::EndedSession& end = ended();
  CHECK(end.reason == EndReason::denied);
  CHECK(end.phase == SessionPhase::connect);
  REQUIRE(end.tried.size() == 1);
  CHECK(end.tried[0].result == DialAttempt::Result::denied);
  check_begins(end, "backend 127.0.0.1:" + std::to_string(port_of(listener)) +
                        " is where the service itself is controlled");
}

TEST_CASE_METHOD(EndedFixture, "empty: the client leaves without a byte, by a reset or an end") {
  relay();
  const bool resets = GENERATE(true, false);
  if (resets) {
    reset(client);
  } else {
    end_writes(client);
    turn_until([&] { return receive_some(backend).ended; });
    end_writes(backend);
  }
  const core::EndedSession& end = ended();
  CHECK(end.reason == EndReason::empty);
  CHECK(core::fault_of(end.reason) == core::Fault::nobody);
  check_begins(end, "the client left without a byte either way after ");
}

TEST_CASE_METHOD(EndedFixture, "a client that leaves while its backend is dialled is empty") {
  start();
  reset(client);
  CHECK(ended().reason == EndReason::empty);
}

TEST_CASE_METHOD(EndedFixture, "a backend that greets makes a session that is not empty") {
  relay();
  send_all(backend, "220 ready");
  receive(client, "220 ready");
  reset(client);
  CHECK(ended().reason == EndReason::client_reset);
}

TEST_CASE_METHOD(EndedFixture, "a backend that ends or resets first is not blamed on its client") {
  relay();
  SECTION("a reset") {
    reset(backend);
    CHECK(ended().reason == EndReason::backend_reset);
  }
  SECTION("an end, and then the client's end") {
    end_writes(backend);
    turn_until([&] { return receive_some(client).ended; });
    end_writes(client);
    CHECK(ended().reason == EndReason::finished);
  }
}

TEST_CASE_METHOD(EndedFixture, "a client that leaves is empty whatever its backend does") {
  relay();
  SECTION("the backend resets after the client's end") {
    end_writes(client);
    turn_until([&] { return receive_some(backend).ended; });
    reset(backend);
  }
  SECTION("the backend ends, and then the client resets") {
    end_writes(backend);
    turn_until([&] { return receive_some(client).ended; });
    reset(client);
  }
  CHECK(ended().reason == EndReason::empty);
}

TEST_CASE_METHOD(EndedFixture, "a client that waits in vain for longer than a dial is not empty") {
  options.connect_timeout = 5s;
  accepted_ago = 6s;
  relay();
  SECTION("and resets") {
    reset(client);
    CHECK(ended().reason == EndReason::client_reset);
  }
  SECTION("and ends") {
    end_writes(client);
    turn_until([&] { return receive_some(backend).ended; });
    end_writes(backend);
    CHECK(ended().reason == EndReason::finished);
  }
  SECTION("and ends, and the backend resets") {
    end_writes(client);
    turn_until([&] { return receive_some(backend).ended; });
    reset(backend);
    CHECK(ended().reason == EndReason::backend_reset);
  }
}

struct HostsBefore {
  TwoHosts hosts;
};
struct RoutelessFixture : HostsBefore, EndedFixture {};

TEST_CASE_METHOD(RoutelessFixture, "a message of this host lists each address once") {
  host.add_name("two.test", {"10.83.0.1", "10.84.0.1"});
  start("two.test", 80);
  const core::EndedSession& end = ended();
  CHECK(end.reason == EndReason::host);
  check_begins(end, "this host could not dial the backend: 10.83.0.1:80: ");
  CHECK_THAT(core::in_words(end), Catch::Contains("also tried 10.84.0.1:80: "));
}

TEST_CASE_METHOD(EndedFixture, "half a close of the client and a reply is no empty session") {
  relay();
  end_writes(client);
  turn_until([&] { return receive_some(backend).ended; });
  send_all(backend, "12:00");
  receive(client, "12:00");
  end_writes(backend);
  CHECK(ended().reason == EndReason::finished);
}

TEST_CASE_METHOD(EndedFixture, "host: this host has no way to the backend, and what would help") {
  start("255.255.255.255", 9);
  const core::EndedSession& end = ended();
  CHECK(end.reason == EndReason::host);
  CHECK(core::fault_of(end.reason) == core::Fault::service);
  CHECK(end.phase == SessionPhase::connect);
  CHECK(end.error == ENETUNREACH);
  CHECK(core::in_words(end) ==
        "this host could not dial the backend: 255.255.255.255:9: Network is unreachable "
        "(ENETUNREACH); this host has no route to it; `ip route get 255.255.255.255` shows the "
        "route");
}

TEST_CASE("an errno of this host ends a running session as host, a bug as internal") {
  using relay::RelayEnd;
  for (const EndReason reason : {EndReason::client_reset, EndReason::backend_reset}) {
    for (const int error : {ENOBUFS, ENOMEM, EMFILE, EPERM})
      CHECK(relay::judge(RelayEnd{.reason = reason, .error = error}) == EndReason::host);
    for (const int error : {EBADF, EIO, EINVAL})
      CHECK(relay::judge(RelayEnd{.reason = reason, .error = error}) == EndReason::internal);
    for (const int error : {0, ECONNRESET, EPIPE, ETIMEDOUT, EHOSTUNREACH})
      CHECK(relay::judge(RelayEnd{.reason = reason, .error = error}) == reason);
  }
  CHECK(relay::judge(RelayEnd{.reason = EndReason::killed}) == EndReason::killed);
}

TEST_CASE_METHOD(EndedFixture, "host: this host has no descriptor for the backend's connection") {
  is_host_full = true;
  start();
  const core::EndedSession& end = ended();
  CHECK(end.reason == EndReason::host);
  CHECK(end.phase == SessionPhase::connect);
  CHECK(end.error == EMFILE);
  CHECK_THAT(core::in_words(end), Catch::Contains("raise LimitNOFILE= of its unit"));
  CHECK(reaches == std::vector{core::Reach::host});
  CHECK_THAT(core::in_words(end), Catch::Contains("EMFILE"));
}

TEST_CASE_METHOD(EndedFixture, "drained and killed: somebody ended it, wherever it was") {
  const auto reason = GENERATE(EndReason::drained, EndReason::killed);
  const bool is_reached = GENERATE(false, true);
  const TcpListener silent("127.0.0.1", 0, 0);
  const TcpPeer only = TcpPeer::connect(silent.port());
  if (is_reached) {
    relay();
  } else {
    start("127.0.0.1", silent.port());
  }
  session->cut(reason);
  const core::EndedSession& end = ended();
  CHECK(end.reason == reason);
  CHECK(end.phase == (is_reached ? SessionPhase::relay : SessionPhase::connect));
  REQUIRE(end.tried.size() == (is_reached ? 0 : 1));
  if (!is_reached) CHECK(end.tried[0].result == DialAttempt::Result::abandoned);
  check_begins(end, reason == EndReason::killed
                        ? "an operator ended it after "
                        : "its stream or the service was being stopped, and its time");
}

TEST_CASE_METHOD(EndedFixture, "host: this host polls no further descriptor") {
  start();
  host.refuse_poll_after(0);
  const core::EndedSession& end = ended();
  CHECK(end.reason == EndReason::host);
  CHECK(end.phase == SessionPhase::relay);
  CHECK(end.error == ENOSPC);
  CHECK(end.connected_after);
  check_begins(end, "this host could not carry the session: epoll_ctl");
  CHECK_THAT(core::in_words(end), Catch::Contains("raise fs.epoll.max_user_watches"));
}

TEST_CASE_METHOD(EndedFixture, "a running session tells how it fares, and what the kernel knows") {
  keep = true;
  host.add_name("one.test", {"127.0.0.1"});
  start("one.test", port_of(listener));
  core::RunningSession running = session->running();
  CHECK(running.state == core::RunningSession::State::dialing);
  CHECK(running.address.empty());
  CHECK_FALSE(running.connected_after);
  CHECK_FALSE(session->details().backend);
  REQUIRE(session->details().client);
  turn_until([&] { return session->state() == Session::State::relaying; });
  backend = accept_one(listener.get()).fd;
  send_all(client, "hello");
  receive(backend, "hello");
  send_all(backend, "bye");
  receive(client, "bye");
  running = session->running();
  CHECK(running.state == core::RunningSession::State::relaying);
  CHECK(running.id == 1);
  CHECK(running.client == net::local_address(client.get()).to_string());
  CHECK(running.address == "127.0.0.1:" + std::to_string(port_of(listener)));
  CHECK(running.backend.host == "one.test");
  CHECK(running.bytes_in == 5);
  CHECK(running.bytes_out == 3);
  CHECK(running.first_byte_after);
  CHECK_FALSE(running.is_kept);
  CHECK(running.idle <=
        running.age + 1ms);  // the loop's clock and ours are read one after the other
  session->cut(EndReason::killed);
}

}  // namespace
}  // namespace sc::test
