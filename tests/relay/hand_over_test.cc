#include "relay/hand_over.h"

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "support/fake_host.h"

namespace sc::test {
namespace {

using namespace std::chrono_literals;

TEST_CASE_METHOD(HandOverFixture, "each worker copies small messages through a place of its own") {
  const std::uint16_t port = open().spec.port;
  std::vector<Pair> pairs;  // more than one worker takes
  for (int i = 0; i < 4; ++i) pairs.push_back(connect_and_talk(port));
  for (unsigned i = 0; i < relay::Pump::kSmallRun + 1; ++i)
    for (const Pair& pair : pairs) talk(pair);
  handoff::Table& table = process->vault->keeper(0).table();
  REQUIRE(table.header().copies_used == 2);
  for (const std::uint32_t worker : {0U, 1U}) CHECK(table.copy(worker).size > 0);
  restart();
  for (const Pair& pair : pairs) talk(pair);
}

TEST_CASE_METHOD(HandOverFixture, "a session goes on in the next process") {
  const std::uint16_t port = open().spec.port;
  const Pair pair = connect_and_talk(port);
  const auto report = process->hand_over();
  CHECK(report.kept == 1);
  CHECK(report.cut == 0);
  process.reset();
  begin_process();
  open_streams();
  talk(pair);
  CHECK(pool().sessions() == 1);
}

TEST_CASE_METHOD(HandOverFixture, "a session of a table of a former version goes on") {
  const Pair pair = connect_and_talk(open().spec.port);
  // Version 3 has no records of kind dialing, and says of nobody that the first socket reached it.
  process->vault->keeper(0).table().header().version = 3;
  restart();
  talk(pair);
  CHECK(process->vault->keeper(0).table().header().version == handoff::kVersion);
  restart();
  talk(pair);
}

TEST_CASE_METHOD(HandOverFixture, "a session's lifetime goes on in the next process") {
  core::Stream& stream = open();
  stream.spec.lifetime = 1h;
  pool().change(stream.spec);
  const Pair pair = connect_and_talk(stream.spec.port);
  const auto age = GENERATE(0min, 60min);
  handoff::Table& table = process->vault->keeper(0).table();
  for (std::uint32_t slot = 0; slot < table.session_slots(); ++slot)
    if (table.session(slot).generation != 0)
      table.session(slot).started_at -= std::chrono::milliseconds(age).count();
  restart();
  if (age == 0min) {
    talk(pair);
  } else {
    CHECK(is_reset(pair.client));
    CHECK(is_reset(pair.backend));
  }
}

// Sends what the kernel takes until nothing moves for a while.
std::size_t stuff(const base::Fd& to, std::string_view bytes) {
  const std::size_t whole = bytes.size();
  pollfd waiting{to.get(), POLLOUT, 0};
  while (!bytes.empty() && ::poll(&waiting, 1, 30) == 1) bytes.remove_prefix(send_some(to, bytes));
  return whole - bytes.size();
}

TEST_CASE_METHOD(HandOverFixture, "bytes that are on their way both ways arrive each once") {
  const Pair pair = connect_and_talk(open().spec.port);
  keep_buffers_small(pair.client);
  keep_buffers_small(pair.backend);
  const std::string up = pattern(16 * 1024 * 1024);
  std::string down = pattern(16 * 1024 * 1024);
  std::reverse(down.begin(), down.end());
  std::size_t sent_up = stuff(pair.client, up);
  std::size_t sent_down = stuff(pair.backend, down);
  REQUIRE(sent_up < up.size());  // so pipes are full as well
  REQUIRE(sent_down < down.size());
  std::string got_up;
  std::string got_down;
  for (int processes = 0; processes < 3; ++processes) {
    restart();
    const std::size_t until = processes == 2 ? up.size() : got_up.size() + up.size() / 8;
    process->turn_until([&] {
      sent_up += send_some(pair.client, std::string_view(up).substr(sent_up));
      sent_down += send_some(pair.backend, std::string_view(down).substr(sent_down));
      got_up += receive_some(pair.backend).bytes;
      got_down += receive_some(pair.client).bytes;
      return std::min(got_up.size(), got_down.size()) >= until;
    });
  }
  CHECK(got_up == up);
  CHECK(got_down == down);
}

TEST_CASE_METHOD(HandOverFixture, "a half-closed session stays half-closed and ends in order") {
  const Pair pair = connect_and_talk(open().spec.port);
  end_writes(pair.client);
  wait_for_hangup(pair.backend.get());
  REQUIRE(receive_some(pair.backend).ended);
  restart();
  send_all(pair.backend, "the reply");
  end_writes(pair.backend);
  std::string got;
  bool ended = false;
  process->turn_until([&] {
    const Received some = receive_some(pair.client);
    got += some.bytes;
    ended = some.ended;
    REQUIRE_FALSE(some.reset);
    return ended;
  });
  CHECK(got == "the reply");
  process->turn_until([&] { return pool().sessions() == 0; });
  CHECK(pool().admission().sessions() == 0);
}

TEST_CASE_METHOD(HandOverFixture, "what peers did between two processes is found by the next one") {
  const std::uint16_t port = open().spec.port;
  Pair resets = connect_and_talk(port);
  Pair ends = connect_and_talk(port);
  end_process();
  reset(resets.client);
  send_all(ends.client, "last words");
  end_writes(ends.client);
  begin_process();
  open_streams();
  CHECK(is_reset(resets.backend));
  wait_for(ends.backend.get(), POLLIN);
  std::string got;
  process->turn_until([&] {
    const Received some = receive_some(ends.backend);
    got += some.bytes;
    return some.ended;
  });
  CHECK(got == "last words");
}

TEST_CASE_METHOD(HandOverFixture, "sessions of a stream that is not there any more are reset") {
  const Pair pair = connect_and_talk(open().spec.port);
  const Pair other = connect_and_talk(open().spec.port);
  core::Stream& gone = rows.front();
  SECTION("removed") { rows.erase(rows.begin()); }
  SECTION("disabled") { gone.spec.enabled = false; }
  SECTION("expired") { gone.spec.expires_at = kNow; }
  SECTION("created again") { gone.created_at = kNow; }
  const std::string client = net::local_address(pair.client.get()).to_string();
  const std::uint16_t port = net::peer_address(pair.client.get()).port();
  end_process();
  process.emplace(manager, options);
  pool().watch(core::SessionBook::Watch::failures);
  process->pool->inherit({rows, {}, {}, saved_traffic}, clock);
  CHECK(is_reset(pair.client));
  CHECK(is_reset(pair.backend));
  talk(other);
  CHECK(pool().sessions() == 1);
  const core::SessionNews news = pool().take_news();
  REQUIRE(news.notes.size() == 1);
  const auto& told = std::get<core::EndedSession>(news.notes.front());
  CHECK(told.reason == core::EndReason::drained);
  CHECK(told.phase == core::SessionPhase::relay);
  CHECK(told.client == client);
  CHECK(told.port == port);
  CHECK(told.address == net::local_address(backend.get()).to_string());
  CHECK(told.bytes_in == 5);
  CHECK(told.bytes_out == 3);
}

TEST_CASE_METHOD(HandOverFixture, "sessions have the order in which they were accepted") {
  const std::uint16_t port = open().spec.port;
  std::vector<Pair> pairs;
  for (int i = 0; i < 20; ++i) pairs.push_back(connect_and_talk(port));
  const auto clients = [this] {
    std::vector<std::string> found;
    for (const core::RunningSession& each : running()) found.push_back(each.client);
    return found;
  };
  const auto before = clients();
  CHECK(before.size() == pairs.size());
  restart();
  CHECK(clients() == before);
}

TEST_CASE_METHOD(HandOverFixture, "no session has the id that one of a former process had") {
  const auto ids = [this] {
    std::vector<core::SessionId> found;
    for (const core::RunningSession& each : running()) found.push_back(each.id);
    return found;  // the highest first
  };
  const std::uint16_t port = open().spec.port;
  std::vector<Pair> pairs;
  for (int i = 0; i < 4; ++i) pairs.push_back(connect_and_talk(port));
  const auto before = ids();
  restart();
  pairs.push_back(connect_and_talk(port));
  const auto after = ids();
  REQUIRE(before.size() == 4);
  REQUIRE(after.size() == 5);
  CHECK(after.back() > before.front());
  std::optional<std::optional<core::EndedSession>> killed;
  pool().kill(before.front(), [&](auto told) { killed = std::move(*told); });
  process->turn_until([&] { return killed.has_value(); });
  CHECK_FALSE(*killed);
  for (const Pair& pair : pairs) talk(pair);
}

TEST_CASE_METHOD(HandOverFixture, "what a session has carried and its place come along") {
  const std::uint16_t port = open().spec.port;
  Pair pair = connect_and_talk(port);
  restart();
  talk(pair);
  process->turn_until([&] { return pool().traffic(port).bytes_out == 6; });
  const core::Traffic traffic = pool().traffic(port);
  CHECK(traffic.bytes_in == 10);
  CHECK(traffic.sessions_active == 1);
  CHECK(traffic.sessions_total == 1);
  CHECK(pool().restored(port) == core::Traffic{0, 1, 5, 3, {}});
  CHECK(pool().counters(port)->sessions_admitted == 1);
  CHECK(pool().admission().sessions() == 1);
  CHECK(pool().admission().descriptors() >= 3);
  pair.client.reset();
  pair.backend.reset();
  process->turn_until([&] { return pool().sessions() == 0; });
  CHECK(pool().traffic(port).sessions_active == 0);
  CHECK(pool().admission().sessions() == 0);
  restart();
  CHECK(pool().traffic(port).sessions_total == 0);
  CHECK(pool().sessions() == 0);
}

TEST_CASE_METHOD(HandOverFixture, "what a kept session had carried when it was saved counts once") {
  const std::uint16_t port = open().spec.port;
  const Pair pair = connect_and_talk(port);
  const Pair ended = connect_and_talk(port);
  process->turn_until([&] { return pool().traffic(port).bytes_out == 6; });
  ::shutdown(ended.client.get(), SHUT_WR);
  ::shutdown(ended.backend.get(), SHUT_WR);
  process->turn_until([&] { return pool().sessions() == 1; });
  process->hand_over();
  saved_traffic[port] = {kNow, kNow, clock.boot(), pool().traffic(port)};
  CHECK(saved_traffic[port].traffic.sessions_total == 2);
  clock.now += GENERATE(-24h, 0h, 24h);  // somebody sets it
  process.reset();
  begin_process();
  open_streams();
  talk(pair);
  process->turn_until([&] { return pool().traffic(port).bytes_out == 9; });
  CHECK(pool().traffic(port).bytes_in == 15);
  CHECK(pool().traffic(port).sessions_total == 2);
  CHECK(pool().traffic(port).sessions_active == 1);
  core::Traffic expected = saved_traffic[port].traffic;
  expected.sessions_active = 0;  // all of these are this process's
  CHECK(pool().restored(port) == expected);
}

TEST_CASE_METHOD(HandOverFixture,
                 "a kept session that came after the last save is counted with it") {
  const std::uint16_t port = open().spec.port;
  base::BootTime saved_on = clock.boot();
  saved_on.monotonic -= 1ms;
  const Pair pair = connect_and_talk(port);
  process->turn_until([&] { return pool().traffic(port).bytes_out == 3; });
  SECTION("whatever the wall clock says") { clock.now += GENERATE(-24h, 0h, 24h); }
  SECTION("before the host was booted") { saved_on = {"another boot", clock.boot().monotonic}; }
  SECTION("before the host was booted, where it cannot be told which boot that was") {
    clock.boot_of_host = {};
    saved_on = {{}, clock.boot().monotonic + 24h};
  }
  core::Traffic carried;
  carried.sessions_total = 7;
  carried.bytes_in = 1000;
  saved_traffic[port] = {kNow - 1h, kNow - 1min, saved_on, carried};
  restart();
  CHECK(pool().traffic(port).sessions_total == 8);
  CHECK(pool().traffic(port).bytes_in == 1005);
  CHECK(pool().traffic(port).bytes_out == 3);
  CHECK(pool().restored(port) == core::Traffic{0, 8, 1005, 3, {}});
  // Its counters are summed up when their port is opened again.
  bool is_free = false;
  pool().close(port, 60s, [&] { is_free = true; });
  process->turn_until([&] { return is_free; });
  CHECK(pool().restored(port) == core::Traffic{0, 8, 1005, 3, {}});
  ::shutdown(pair.client.get(), SHUT_WR);
  ::shutdown(pair.backend.get(), SHUT_WR);
  process->turn_until([&] { return pool().sessions() == 0; });
  auto listener = process->pool->prepare(rows.front().spec);
  REQUIRE(listener);
  pool().activate(std::move(*listener), rows.front());
  CHECK(pool().traffic(port).sessions_total == 8);
  CHECK(pool().restored(port) == core::Traffic{0, 8, 1005, 3, {}});
}

TEST_CASE_METHOD(HandOverFixture,
                 "at the limit of sessions those that are there go on, more wait") {
  const std::uint16_t port = open().spec.port;
  std::vector<Pair> pairs;
  for (int i = 0; i < 3; ++i) pairs.push_back(connect_and_talk(port));
  options.limits.sessions = 2;
  restart();
  for (const Pair& pair : pairs) talk(pair);
  const base::Fd waits = connect_to(port);
  pairs.resize(1);
  talk(pairs[0]);
  CHECK(accept_one(backend.get()).fd);
}

TEST_CASE_METHOD(HandOverFixture, "who connects between two processes is served by the next one") {
  const std::uint16_t port = open().spec.port;
  end_process();
  Pair pair;
  pair.client = connect_to(port);
  begin_process();
  open_streams();
  pair.backend = accept_one(backend.get()).fd;
  talk(pair);
  CHECK(stored(handoff::RecordKind::listener) == 1);
}

TEST_CASE_METHOD(HandOverFixture, "a listener at another address than wanted is opened anew") {
  const std::uint16_t port = open().spec.port;
  const Pair pair = connect_and_talk(port);
  SECTION("of the stream") { rows[0].spec.listen_address = "127.0.0.2"; }
  SECTION("of the service") { options.listen_address = *net::Address::parse_ip("127.0.0.2", 0); }
  restart();
  auto at_former = net::start_connect(*net::Address::parse_ip("127.0.0.1", port));
  if (at_former) {
    wait_for(at_former->get(), POLLOUT);
    CHECK(net::take_error(at_former->get()) == ECONNREFUSED);
  }
  auto client = net::start_connect(*net::Address::parse_ip("127.0.0.2", port));
  REQUIRE(client);
  const Pair fresh{std::move(*client), accept_one(backend.get()).fd};
  talk(fresh);
  talk(pair);
  CHECK(stored(handoff::RecordKind::listener) == 1);
}

TEST_CASE_METHOD(HandOverFixture, "a listener of no stream is closed when all are open") {
  const std::uint16_t port = open().spec.port;
  rows.clear();
  end_process();
  begin_process();
  CHECK(connect_to(port));  // it waits
  process->pool->settle();
  CHECK(net::listen_tcp(*net::Address::parse_ip("127.0.0.1", port), {}));
  CHECK(stored(handoff::RecordKind::listener) == 0);
}

TEST_CASE_METHOD(HandOverFixture, "a port that was closed and opened again is handed over once") {
  const std::uint16_t port = open().spec.port;
  bool is_free = false;
  pool().close(port, 0ms, [&] { is_free = true; });
  process->turn_until([&] { return is_free; });
  auto listener = pool().prepare(rows[0].spec);
  REQUIRE(listener);
  pool().activate(std::move(*listener), rows[0]);
  CHECK(stored(handoff::RecordKind::listener) == 1);
  restart();
  talk(connect(port));
}

TEST_CASE_METHOD(HandOverFixture,
                 "of a stream that cannot be opened the sessions go on until it is closed") {
  const std::uint16_t port = open().spec.port;
  const Pair pair = connect_and_talk(port);
  end_process();
  begin_process();
  pool().settle();
  talk(pair);
  CHECK(pool().traffic(port).sessions_active == 1);
  bool is_free = false;
  pool().close(port, 0ms, [&] { is_free = true; });
  process->turn_until([&] { return is_free; });
  CHECK(is_reset(pair.client));
  CHECK(is_reset(pair.backend));
  process->turn_until([&] { return pool().sessions() == 0; });
}

TEST_CASE_METHOD(HandOverFixture, "a stream that opens late has its sessions of before") {
  const std::uint16_t port = open().spec.port;
  const Pair pair = connect_and_talk(port);
  end_process();
  begin_process();
  pool().settle();
  open_streams();
  talk(connect(port));
  talk(pair);
  process->turn_until([&] { return pool().traffic(port).sessions_active >= 1; });
  CHECK(pool().traffic(port).sessions_total == 2);
}

TEST_CASE_METHOD(HandOverFixture, "more or fewer workers than before lose no session") {
  const std::uint16_t port = open().spec.port;
  std::vector<Pair> pairs;
  for (int i = 0; i < 6; ++i) pairs.push_back(connect_and_talk(port));
  for (const std::size_t workers : {1U, 4U, 3U}) {
    options.workers = workers;
    restart();
    for (const Pair& pair : pairs) talk(pair);
    CHECK(pool().sessions() == 6);
  }
}

TEST_CASE_METHOD(HandOverFixture, "a drain that has begun can become a hand-over") {
  const Pair pair = connect_and_talk(open().spec.port);
  bool drained = false;
  pool().drain(60s, [&](std::size_t) { drained = true; });
  const auto report = process->hand_over();
  CHECK(report.kept == 1);
  CHECK_FALSE(drained);
  process.reset();
  begin_process();
  open_streams();
  talk(pair);
}

TEST_CASE_METHOD(HandOverFixture,
                 "a session that the host does not let go on is reset and counts no more") {
  const std::uint16_t port = open().spec.port;
  const Pair pair = connect_and_talk(port);
  end_process();
  options.workers = 1;
  process.emplace(manager, options);
  const Pair first = connect_and_talk(open().spec.port);  // its loop has all that it needs
  rows.pop_back();
  FakeHost host;
  host.refuse_poll_after(0);
  pool().inherit({rows, {}, {}, {}}, clock);
  CHECK(is_reset(pair.client));
  CHECK(is_reset(pair.backend));
  process->turn_until([&] { return pool().admission().sessions() == 1; });
  CHECK(pool().sessions() == 1);
  CHECK(pool().traffic(port).sessions_active == 0);
}

TEST_CASE_METHOD(HandOverFixture, "an inherited session that is silent for the idle timeout ends") {
  process.reset();
  options.session.idle_timeout = 80ms;
  process.emplace(manager, options);
  const Pair pair = connect_and_talk(open().spec.port);
  restart();
  CHECK(is_reset(pair.client));
  CHECK(is_reset(pair.backend));
}

}  // namespace
}  // namespace sc::test
