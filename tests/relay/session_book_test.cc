#include <algorithm>
#include <optional>
#include <set>
#include <vector>

#include "relay/hand_over.h"
#include "relay/pool_fixture.h"
#include "support/fake_host.h"
#include "support/tcp_peer.h"

// What the pool tells of its sessions, as core::SessionBook.
namespace sc::test {
namespace {

using namespace std::chrono_literals;
using core::EndReason;

struct BookFixture : PoolFixture {
  FakeHost host;

  std::optional<core::SessionDetails> look_up(core::SessionId id) {
    std::optional<std::optional<core::SessionDetails>> details;
    pool.session(id, [&](base::Result<std::optional<core::SessionDetails>> told) {
      details = std::move(*told);
    });
    CHECK_FALSE(details);
    turn_until([&] { return details.has_value(); });
    return *details;
  }
  std::optional<core::EndedSession> kill(core::SessionId id) {
    std::optional<std::optional<core::EndedSession>> ended;
    pool.kill(id, [&](base::Result<std::optional<core::EndedSession>> told) {
      ended = std::move(*told);
    });
    CHECK_FALSE(ended);
    turn_until([&] { return ended.has_value(); });
    return *ended;
  }
  core::CheckReport check(const core::StreamSpec& spec) {
    std::optional<core::CheckReport> report;
    pool.check(spec, [&](core::CheckReport told) { report = std::move(told); });
    CHECK_FALSE(report);
    turn_until([&] { return report.has_value(); });
    return *report;
  }
  std::uint64_t ended(std::uint16_t port, EndReason reason) {
    return pool.traffic(port).ended.at(static_cast<std::size_t>(reason));
  }
  // A client of a stream whose backend refuses.
  void fail_once(std::uint16_t port, std::uint64_t times) {
    // Not connect_to(): it may be reset before that has looked.
    const auto client = net::start_connect(*net::Address::parse_ip("127.0.0.1", port));
    turn_until([&] { return ended(port, EndReason::backend_refused) == times; });
  }
};

TEST_CASE_METHOD(BookFixture, "sessions of all workers are listed, the latest first, by pages") {
  const auto port = open(port_of(backend));
  std::vector<Pair> pairs;
  for (int i = 0; i < 7; ++i) pairs.push_back(connect(port));
  core::SessionQuery query;
  query.limit = 3;
  std::vector<core::RunningSession> all;
  std::size_t pages = 0;
  do {
    const core::SessionPage page = list(query);
    CHECK(page.sessions.size() <= 3);
    all.insert(all.end(), page.sessions.begin(), page.sessions.end());
    query.before = page.before;
    ++pages;
  } while (query.before);
  CHECK(pages == 3);
  REQUIRE(all.size() == 7);
  std::set<std::size_t> workers;
  for (std::size_t i = 0; i < all.size(); ++i) {
    CHECK(all[i].port == port);
    if (i > 0) CHECK(all[i].id < all[i - 1].id);
    workers.insert(relay::Worker::index_of(all[i].id));
  }
  CHECK(workers.size() == 2);
}

TEST_CASE_METHOD(BookFixture, "a list is of the port, client, age and bytes that are asked for") {
  const auto port = open(port_of(backend));
  const auto other = open(port_of(backend));
  const Pair quiet = connect(port);
  const Pair busy = connect(other);
  CHECK(talks(busy));
  CHECK(list().sessions.size() == 2);
  core::SessionQuery query;
  query.port = other;
  REQUIRE(list(query).sessions.size() == 1);
  CHECK(list(query).sessions[0].port == other);
  query.port = 1;
  CHECK(list(query).sessions.empty());
  query.port.reset();
  query.client = "127.0.0.1";
  CHECK(list(query).sessions.size() == 2);
  for (const char* nobody : {"127.0.0.2", "::1", "", "localhost"}) {
    query.client = nobody;
    CHECK(list(query).sessions.empty());
  }
  query.client.reset();
  query.min_bytes = 8;  // a word each way
  turn_until([&] { return list(query).sessions.size() == 1; });
  CHECK(list(query).sessions[0].port == other);
  query.min_bytes = 9;
  CHECK(list(query).sessions.empty());
  query.min_bytes = 0;
  query.min_age = 1h;
  CHECK(list(query).sessions.empty());
  query.min_age = 5ms;
  turn_until([&] { return list(query).sessions.size() == 2; });
}

TEST_CASE_METHOD(BookFixture, "a session's details tell what the kernel knows of both sockets") {
  const auto port = open(port_of(backend));
  const Pair pair = connect(port);
  CHECK(talks(pair));
  turn_until([&] { return list().sessions.at(0).bytes_in == 5; });
  const core::SessionId id = list().sessions.at(0).id;
  const auto details = look_up(id);
  REQUIRE(details);
  CHECK(details->session.id == id);
  REQUIRE(details->client);
  REQUIRE(details->backend);
  CHECK(details->client->state == "established");
  CHECK(details->client->local == "127.0.0.1:" + std::to_string(port));
  CHECK(details->backend->local == net::peer_address(pair.backend.get()).to_string());
  CHECK(details->backend->rtt.count() > 0);
  CHECK(details->backend->mss > 0);
  CHECK(details->client->unread == 0);
  for (const core::SessionId none : {core::SessionId{0}, id + 256, core::SessionId{255}})
    CHECK_FALSE(look_up(none));
}

TEST_CASE_METHOD(BookFixture, "a session is killed by its id, and told as it ended") {
  const auto port = open(port_of(backend));
  const Pair stays = connect(port);
  const Pair pair = connect(port);
  const core::SessionId id = list().sessions.at(0).id;
  const auto killed = kill(id);
  REQUIRE(killed);
  CHECK(killed->id == id);
  CHECK(killed->reason == EndReason::killed);
  CHECK(killed->phase == core::SessionPhase::relay);
  wait_for_hangup(pair.client.get());
  CHECK(receive_some(pair.client).reset);
  wait_for_hangup(pair.backend.get());
  CHECK(receive_some(pair.backend).reset);
  CHECK(talks(stays));
  CHECK_FALSE(kill(id));
  CHECK_FALSE(kill(0));
  CHECK(ended(port, EndReason::killed) == 1);
  REQUIRE(pool.failures(port).sessions.size() == 1);
  CHECK(pool.failures(port).sessions[0].id == id);
}

TEST_CASE_METHOD(BookFixture, "a stream's failures are counted by reason and told") {
  const ClosedPort closed;
  const auto port = open(closed.port());
  CHECK(pool.failures(port).sessions.empty());
  fail_once(port, 1);
  fail_once(port, 2);
  turn_until([&] { return pool.failures(port).sessions.size() == 2; });
  const auto failures = pool.failures(port).sessions;
  CHECK(failures[0].id > failures[1].id);
  CHECK(failures[0].reason == EndReason::backend_refused);
  CHECK(failures[0].port == port);
  CHECK(ended(port, EndReason::finished) == 0);
  CHECK(pool.failures(1).sessions.empty());
  turn_until([&] { return pool.sessions() == 0; });  // else they outlast the close
  close(port, 0ms);
  CHECK(pool.failures(port).sessions.size() == 2);  // the stream may be opened again
  pool.forget(port);
  CHECK(pool.failures(port).sessions.empty());  // they have gone with it
}

TEST_CASE_METHOD(BookFixture, "a session that finishes is counted, and no failure") {
  const auto port = open(port_of(backend));
  {
    const Pair pair = connect(port);
    CHECK(talks(pair));
    end_writes(pair.client);
    end_writes(pair.backend);
    turn_until([&] { return ended(port, EndReason::finished) == 1; });
  }
  CHECK(pool.failures(port).sessions.empty());
  CHECK(pool.counters(port)->failures() == nullptr);
  const relay::SessionLatencies latencies = pool.latencies();
  std::uint64_t durations = 0;
  for (const std::uint64_t count : latencies.duration.counts) durations += count;
  CHECK(durations == 1);
  CHECK(latencies.connect.sum > 0);
}

TEST_CASE_METHOD(BookFixture, "a client that leaves without a byte is counted, and no failure") {
  const auto port = open(port_of(backend));
  Pair pair = connect(port);
  reset(pair.client);
  turn_until([&] { return ended(port, EndReason::empty) == 1; });
  CHECK(pool.failures(port).sessions.empty());
  CHECK(pool.failures(port).groups.empty());
  CHECK(pool.counters(port)->failures() == nullptr);
}

TEST_CASE_METHOD(BookFixture, "watchers are told who came and how they ended, as they wish") {
  const auto port = open(port_of(backend));
  const ClosedPort closed;
  const auto failing = open(closed.port());
  pool.watch(core::SessionBook::Watch::failures);
  const auto finish_one = [&](std::uint64_t times) {
    const Pair pair = connect(port);
    CHECK(talks(pair));
    end_writes(pair.client);
    end_writes(pair.backend);
    turn_until([&] { return ended(port, EndReason::finished) == times; });
  };
  finish_one(1);
  fail_once(failing, 1);
  std::vector<core::SessionNote> told;
  const auto gather = [&](std::size_t count) {
    turn_until([&] {
      for (core::SessionNote& note : pool.take_news().notes) told.push_back(std::move(note));
      return told.size() >= count;
    });
    REQUIRE(told.size() == count);
  };
  gather(1);
  CHECK(std::get<core::EndedSession>(told[0]).reason == EndReason::backend_refused);
  told.clear();
  pool.watch(core::SessionBook::Watch::sessions);
  finish_one(2);
  gather(2);
  const auto& began = std::get<core::RunningSession>(told[0]);
  CHECK(began.state == core::RunningSession::State::dialing);
  CHECK(std::get<core::EndedSession>(told[1]).id == began.id);
  pool.watch(core::SessionBook::Watch::nothing);
  finish_one(3);
  CHECK(pool.take_news().notes.empty());
}

TEST_CASE_METHOD(BookFixture, "a check resolves and dials as a session would, and hangs up") {
  core::StreamSpec spec;
  spec.port = 9000;
  host.add_name("two.test", {"127.0.0.2", "127.0.0.1"});
  spec.backend = {"two.test", port_of(backend)};
  const std::string port = std::to_string(port_of(backend));
  const core::CheckReport report = check(spec);
  CHECK(report.is_reachable);
  CHECK(report.trouble.empty());
  CHECK(report.address == "127.0.0.1:" + port);
  CHECK(report.addresses == std::vector<std::string>{"127.0.0.2:" + port, "127.0.0.1:" + port});
  REQUIRE(report.resolved_after);
  CHECK(*report.resolved_after <= report.took);
  REQUIRE(report.tried.size() == 2);
  CHECK(report.tried[0].result == core::DialAttempt::Result::failed);
  CHECK(report.tried[1].result == core::DialAttempt::Result::connected);
  const base::Fd accepted = accept_one(backend.get()).fd;
  wait_for_hangup(accepted.get());
  CHECK(receive_some(accepted).ended);
}

TEST_CASE_METHOD(BookFixture, "a check tells of one address, and why a backend is not reached") {
  core::StreamSpec spec;
  spec.port = 9000;
  spec.backend = {"127.0.0.1", port_of(backend)};
  core::CheckReport report = check(spec);
  CHECK(report.is_reachable);
  CHECK_FALSE(report.resolved_after);
  CHECK(report.addresses.empty());
  REQUIRE(report.tried.size() == 1);
  const ClosedPort closed;
  spec.backend.port = closed.port();
  report = check(spec);
  CHECK_FALSE(report.is_reachable);
  CHECK(report.reason == EndReason::backend_refused);
  CHECK_THAT(report.trouble, Catch::Contains("ECONNREFUSED"));
  host.forget_name("nobody.test");
  spec.backend.host = "nobody.test";
  report = check(spec);
  CHECK(report.reason == EndReason::backend_unresolved);
  CHECK(report.tried.empty());
}

TEST_CASE_METHOD(BookFixture, "many checks at once are all answered, and go with the pool") {
  core::StreamSpec spec;
  spec.port = 9000;
  spec.backend = {"127.0.0.1", port_of(backend)};
  int answered = 0;
  for (int i = 0; i < 20; ++i) pool.check(spec, [&](const core::CheckReport&) { ++answered; });
  turn_until([&] { return answered == 20; });
  pool.check(spec, [&](const core::CheckReport&) { ++answered; });  // dies under way
}

TEST_CASE_METHOD(HandOverFixture, "a kept session keeps its age; what is not known is not told") {
  const core::Stream stream = open();
  const Pair pair = connect_and_talk(stream.spec.port);
  const auto list = [&] {
    std::optional<core::SessionPage> page;
    pool().sessions({}, [&](core::SessionPage told) { page = std::move(told); });
    process->turn_until([&] { return page.has_value(); });
    return page->sessions;
  };
  process->turn_until([&] { return list().at(0).age >= 20ms; });
  const core::RunningSession before = list().at(0);
  CHECK(before.is_kept);
  restart();
  process->turn_until([&] { return list().size() == 1; });
  const core::RunningSession after = list().at(0);
  CHECK(after.age >= before.age);
  CHECK(std::chrono::abs(after.accepted_at - before.accepted_at) <= 5ms);
  CHECK(after.client == before.client);
  CHECK(after.address == before.address);
  CHECK(after.bytes_in == 5);
  CHECK(after.bytes_out == 3);
  CHECK(after.is_kept);
  CHECK(after.state == core::RunningSession::State::relaying);
  CHECK_FALSE(after.connected_after);
  CHECK_FALSE(after.first_byte_after);
}

}  // namespace
}  // namespace sc::test
