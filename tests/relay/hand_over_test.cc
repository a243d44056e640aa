#include <algorithm>
#include <optional>
#include <vector>

#include "relay/tcp_pair.h"
#include "relay/worker_pool.h"
#include "support/catch.h"
#include "support/fake_fd_store.h"
#include "support/fake_host.h"

namespace sc::test {
namespace {

using namespace std::chrono_literals;

constexpr base::WallTime kNow{std::chrono::milliseconds{1'793'541'780'000}};

// One life of the service: its vault and its pool, with the store's descriptors to begin with.
struct Process {
  loop::Loop control;
  std::unique_ptr<handoff::Vault> vault;
  std::unique_ptr<relay::WorkerPool> pool;

  Process(FakeFdStore& manager, relay::WorkerPoolOptions options) {
    auto opened = handoff::Vault::open(manager.link(), manager.passed(), options.workers, 256);
    REQUIRE(opened);
    vault = std::move(*opened);
    options.vault = vault.get();
    pool = std::make_unique<relay::WorkerPool>(control, options, [](auto, const auto&) {});
  }

  template <class Condition>
  void turn_until(Condition condition) {
    bool late = false;
    loop::Timer deadline(control, [&] { late = true; });
    loop::Timer tick(control, [&] { tick.start(1ms); });
    deadline.start(10s);
    tick.start(1ms);
    while (!condition()) {
      control.run_once(true);
      REQUIRE_FALSE(late);
    }
  }
  relay::WorkerPool::HandOverReport hand_over() {
    std::optional<relay::WorkerPool::HandOverReport> report;
    pool->hand_over([&](const auto& told) { report = told; });
    turn_until([&] { return report.has_value(); });
    return *report;
  }
};

// Processes one after the other; the test is manager, client and backend.
struct HandOverFixture {
  FakeFdStore manager;
  relay::WorkerPoolOptions options{2, {2s, 0ms, {}, 0ms}, *net::Address::parse_ip("127.0.0.1", 0)};
  base::Fd backend = listen_on_loopback();
  std::vector<core::Stream> rows;
  std::optional<Process> process;

  HandOverFixture() { process.emplace(manager, options); }

  core::Stream& open(core::Durability durable = core::Durability::established) {
    core::Stream stream;
    stream.created_at = kNow - 1h;
    stream.spec.backend = {"127.0.0.1", port_of(backend)};
    stream.spec.durable = durable;
    auto listener = process->pool->prepare(stream.spec);
    REQUIRE(listener);
    stream.spec.port = port_of(*listener);
    process->pool->activate(std::move(*listener), stream);
    return rows.emplace_back(stream);
  }

  struct Pair {
    base::Fd client;
    base::Fd backend;
  };
  Pair connect(std::uint16_t port) {
    base::Fd client = connect_to(port);
    base::Fd accepted = accept_one(backend.get()).fd;
    return {std::move(client), std::move(accepted)};
  }
  static void talk(const Pair& pair) {
    send_all(pair.client, "hello");
    wait_for(pair.backend.get(), POLLIN);
    CHECK(receive_some(pair.backend).bytes == "hello");
    send_all(pair.backend, "bye");
    wait_for(pair.client.get(), POLLIN);
    CHECK(receive_some(pair.client).bytes == "bye");
  }
  Pair connect_and_talk(std::uint16_t port) {
    Pair pair = connect(port);
    talk(pair);
    return pair;
  }

  void end_process() {
    process->hand_over();
    process.reset();
  }
  void begin_process() {
    process.emplace(manager, options);
    process->pool->inherit(rows, kNow);
  }
  void open_streams() {
    for (const core::Stream& stream : rows) {
      auto listener = process->pool->prepare(stream.spec);
      REQUIRE(listener);
      process->pool->activate(std::move(*listener), stream);
    }
    process->pool->settle();
  }
  void restart() {
    end_process();
    begin_process();
    open_streams();
  }

  std::size_t stored(handoff::RecordKind kind) const {
    std::size_t count = 0;
    for (const handoff::StoredFd& each : manager.passed())
      if (each.name.starts_with(handoff::kCapsulePrefix))
        for (const auto& found : handoff::look_into(each.fd.get()))
          count += found.record.kind == kind ? 1 : 0;
    return count;
  }
  static bool is_reset(const base::Fd& fd) {
    wait_for_hangup(fd.get());
    return receive_some(fd).reset;
  }
  relay::WorkerPool& pool() { return *process->pool; }
};

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
  end_process();
  begin_process();
  CHECK(is_reset(pair.client));
  CHECK(is_reset(pair.backend));
  talk(other);
  CHECK(pool().sessions() == 1);
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

TEST_CASE_METHOD(HandOverFixture, "a session that is durable never is cut") {
  const std::uint16_t port = open(core::Durability::off).spec.port;
  const Pair pair = connect_and_talk(port);
  const auto report = process->hand_over();
  CHECK(report.kept == 0);
  CHECK(report.cut == 1);
  CHECK(is_reset(pair.client));
  CHECK(is_reset(pair.backend));
}

// The backend's name is not answered, so the session is dialling.
TEST_CASE_METHOD(HandOverFixture,
                 "a client whose backend is being dialled is served by the next process") {
  core::Stream& stream = open(core::Durability::early);
  FakeHost host;
  host.hang_name("slow.test");
  stream.spec.backend = {"slow.test", port_of(backend)};
  pool().change(stream.spec);
  Pair pair;
  pair.client = connect_to(stream.spec.port);
  process->turn_until([&] { return stored(handoff::RecordKind::client) == 1; });
  const auto report = process->hand_over();
  host.answer_names();
  process.reset();
  CHECK(report.kept == 1);
  stream.spec.backend = {"127.0.0.1", port_of(backend)};
  begin_process();
  open_streams();
  pair.backend = accept_one(backend.get()).fd;
  talk(pair);
  restart();  // and it is a session as others are
  talk(pair);
}

TEST_CASE_METHOD(HandOverFixture, "a session is kept from the start, or once it is old enough") {
  process.reset();
  const auto after = GENERATE(0ms, 30ms);
  options.session.durable_after = after;
  process.emplace(manager, options);
  const std::uint16_t port = open().spec.port;
  const Pair pair = connect_and_talk(port);
  if (after == 0ms) CHECK(stored(handoff::RecordKind::session) == 1);
  process->turn_until([&] { return stored(handoff::RecordKind::session) == 1; });
  CHECK(process->vault->counters().sessions == 1);
}

TEST_CASE_METHOD(HandOverFixture, "a session that is young is kept when the process ends") {
  process.reset();
  options.session.durable_after = 1h;
  process.emplace(manager, options);
  const Pair pair = connect_and_talk(open().spec.port);
  CHECK(stored(handoff::RecordKind::session) == 0);
  restart();
  talk(pair);
}

TEST_CASE_METHOD(HandOverFixture,
                 "where the manager keeps nothing, sessions are cut and it is counted") {
  manager.refuse(true);
  const Pair pair = connect_and_talk(open().spec.port);
  const auto report = process->hand_over();
  CHECK(report.kept == 0);
  CHECK(report.cut == 1);
  CHECK(is_reset(pair.client));
  const auto& not_kept = process->vault->counters().not_kept;
  CHECK(not_kept[static_cast<std::size_t>(handoff::Trouble::store_refused)] > 0);
}

TEST_CASE("without a vault sessions that would be kept are counted") {
  loop::Loop control;
  relay::WorkerPool pool(control, {1, {2s, 0ms, {}, 10ms}, *net::Address::parse_ip("127.0.0.1", 0)},
                         [](auto, const auto&) {});
  const base::Fd backend = listen_on_loopback();
  core::Stream stream;
  stream.spec.backend = {"127.0.0.1", port_of(backend)};
  auto listener = pool.prepare(stream.spec);
  REQUIRE(listener);
  stream.spec.port = port_of(*listener);
  pool.activate(std::move(*listener), stream);
  const base::Fd client = connect_to(stream.spec.port);
  const base::Fd accepted = accept_one(backend.get()).fd;
  loop::Timer tick(control, [&] { tick.start(5ms); });
  tick.start(5ms);
  for (int i = 0; i < 1000 && pool.unkept_sessions() == 0; ++i) control.run_once(true);
  CHECK(pool.unkept_sessions() == 1);
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
  pool().inherit(rows, kNow);
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
