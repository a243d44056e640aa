#include "relay/worker_pool.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <csignal>
#include <optional>
#include <vector>

#include "relay/pool_fixture.h"
#include "support/fake_host.h"

namespace sc::test {
namespace {

using namespace std::chrono_literals;

TEST_CASE_METHOD(PoolFixture, "a client of a stream reaches its backend") {
  const auto port = open(port_of(backend));
  const Pair pair = connect(port);
  CHECK(talks(pair));
  CHECK(pool.sessions() == 1);
  CHECK(pool.counters(port)->sessions_total == 1);
  CHECK(pool.counters(port)->sessions_active == 1);
}

// The pool's own socket, found in this process: the one that the backend sees as its peer.
int socket_bound_to(std::uint16_t port) {
  for (int fd = 3; fd < 256; ++fd)
    if (net::local_address(fd).port() == port && net::peer_address(fd).port() != 0) return fd;
  return -1;
}

TEST_CASE("a session that lives for a while finds a silent backend dead") {
  loop::Loop control;
  relay::SessionOptions session;
  session.keepalive.idle = 44s;
  relay::WorkerPool pool(
      control, relay::WorkerPoolOptions{1, session, *net::Address::parse_ip("127.0.0.1", 0)},
      [](std::uint16_t, core::Reach, const std::string&) {});
  const base::Fd backend = listen_on_loopback();
  auto listener = pool.prepare(at(0));
  REQUIRE(listener);
  const std::uint16_t port = port_of(*listener);
  pool.activate(std::move(*listener), stream_at(port, "127.0.0.1", port_of(backend)));
  const base::Fd client = connect_to(port);
  const net::Accepted accepted = accept_one(backend.get());
  const int fd = socket_bound_to(accepted.peer.port());
  REQUIRE(fd >= 0);
  const auto option = [&](int level, int name) {
    int value = 0;
    socklen_t size = sizeof value;
    ::getsockopt(fd, level, name, &value, &size);
    return value;
  };
  CHECK(loop_until_seen(control, [&] { return option(SOL_SOCKET, SO_KEEPALIVE) == 1; }));
  CHECK(option(IPPROTO_TCP, TCP_KEEPIDLE) == 44);
}

TEST_CASE_METHOD(PoolFixture, "early clients of a prepared port are served once it is active") {
  auto listener = pool.prepare(at(0));
  REQUIRE(listener);
  const std::uint16_t port = port_of(*listener);
  base::Fd client = connect_to(port);
  pool.activate(std::move(*listener), stream_at(port, "127.0.0.1", port_of(backend)));
  const Pair pair{std::move(client), accept_one(backend.get()).fd};
  CHECK(talks(pair));
}

TEST_CASE_METHOD(PoolFixture, "a port that is taken cannot be prepared") {
  auto listener = pool.prepare(at(0));
  REQUIRE(listener);
  const auto again = pool.prepare(at(port_of(*listener)));
  REQUIRE_FALSE(again);
  CHECK(again.error().code == base::Errc::in_use);
}

TEST_CASE_METHOD(PoolFixture, "after close the port can be bound again while its session goes on") {
  const auto port = open(port_of(backend));
  const Pair pair = connect(port);
  CHECK(talks(pair));
  close(port, 60s);
  CHECK(pool.prepare(at(port)));
  CHECK(talks(pair));
}

TEST_CASE_METHOD(PoolFixture,
                 "the drain time over, sessions of a closed stream are cut, others are not") {
  const auto first = open(port_of(backend));
  const auto second = open(port_of(backend));
  const Pair cut = connect(first);
  const Pair kept = connect(second);
  CHECK(talks(cut));
  close(first, 20ms);
  wait_for(cut.client.get(), POLLIN);
  CHECK(receive_some(cut.client).reset);
  CHECK(talks(kept));
}

TEST_CASE_METHOD(PoolFixture,
                 "a paused stream lets clients wait and serves them when it is resumed") {
  const auto port = open(port_of(backend));
  pool.pause(port);
  // A session that was accepted before the pause is through by now; so a client after it waits.
  base::Fd client = connect_to(port);
  pool.resume(port);
  const Pair pair{std::move(client), accept_one(backend.get()).fd};
  CHECK(talks(pair));
}

TEST_CASE_METHOD(PoolFixture, "what a stream carried stays with it when its port is closed") {
  const std::uint16_t port = open(port_of(backend));
  const auto reopen = [&] {
    close(port, 60s);
    auto listener = pool.prepare(at(port));
    REQUIRE(listener);
    pool.activate(std::move(*listener), stream_at(port, "127.0.0.1", port_of(backend)));
  };
  const Pair first = connect(port);
  reopen();
  const Pair second = connect(port);
  CHECK(pool.traffic(port).sessions_total == 2);
  CHECK(pool.traffic(port).sessions_active == 2);  // that of before runs still
  CHECK(talks(first));
  turn_until([&] { return pool.traffic(port).bytes_in == 5; });
  reopen();
  CHECK(pool.traffic(port).sessions_total == 2);
  CHECK(pool.traffic(port).bytes_in == 5);
  pool.forget(port);
  CHECK(pool.traffic(port).sessions_total == 2);  // until the next one comes
  reopen();
  CHECK(pool.traffic(port) == core::Traffic{});
}

TEST_CASE_METHOD(PoolFixture,
                 "of a stream that is gone nothing stays when its sessions have ended") {
  const bool others_come = GENERATE(false, true);
  const std::uint16_t port = open(port_of(backend));
  Pair pair = connect(port);
  Pair failed = connect(port);
  CHECK(talks(failed));
  reset(failed.client);
  turn_until([&] { return pool.failures(port).sessions.size() == 1; });
  pool.forget(port);
  close(port, 60s);
  const auto look = [&] {
    if (others_come) {
      open(port_of(backend));
    } else {
      pool.sum_up_gone();
    }
  };
  look();
  CHECK(pool.failures(port).sessions.size() == 1);
  CHECK(pool.traffic(port).sessions_total == 2);
  CHECK(talks(pair));
  pair = {};
  turn_until([&] {
    look();
    return pool.failures(port).sessions.empty();
  });
  CHECK(pool.traffic(port) == core::Traffic{});
}

TEST_CASE_METHOD(PoolFixture, "what a stream had carried in a former process is where it begins") {
  core::Traffic carried;
  carried.bytes_in = 100;
  carried.ended.at(3) = 2;
  const std::uint16_t port = open(port_of(backend));
  pool.restore(port, carried);
  const Pair pair = connect(port);
  CHECK(talks(pair));
  turn_until([&] { return pool.traffic(port).bytes_in == 105; });
  CHECK(pool.traffic(port).ended == carried.ended);
  CHECK(pool.traffic(port).sessions_total == 1);
  CHECK(pool.restored(port) == carried);
  close(port, 60s);
  CHECK(pool.restored(port) == carried);
  pool.restore(port, {});  // a new stream has the port, and is not opened
  CHECK(pool.restored(port) == core::Traffic{});
  CHECK(pool.traffic(port) == core::Traffic{});
  CHECK(talks(pair));
}

TEST_CASE_METHOD(PoolFixture, "a changed backend serves new sessions, running ones stay") {
  const base::Fd other = listen_on_loopback();
  const auto port = open(port_of(backend));
  const Pair old = connect(port);
  pool.change(core::StreamSpec{port, core::Backend{"127.0.0.1", port_of(other)}});
  const base::Fd client = connect_to(port);
  send_all(client, "new");
  const base::Fd accepted = accept_one(other.get()).fd;
  wait_for(accepted.get(), POLLIN);
  CHECK(receive_some(accepted).bytes == "new");
  CHECK(talks(old));
}

TEST_CASE_METHOD(PoolFixture,
                 "a refused backend resets the client and is told once until it answers again") {
  base::Fd gone = listen_on_loopback();
  const std::uint16_t backend_port = port_of(gone);
  gone.reset();
  const auto port = open(backend_port);
  for (int i = 0; i < 3; ++i) {
    // Not connect_to: the reset may be there before it looks whether the connect went well.
    const auto client = net::start_connect(*net::Address::parse_ip("127.0.0.1", port));
    REQUIRE(client);
    wait_for(client->get(), POLLIN);
    CHECK(receive_some(*client).reset);
  }
  turn_until([&] { return !notes.empty(); });
  CHECK(notes.size() == 1);
  CHECK(notes.front().find("ECONNREFUSED") != std::string::npos);

  auto back = net::listen_tcp(*net::Address::parse_ip("127.0.0.1", backend_port), {});
  REQUIRE(back);
  const base::Fd client = connect_to(port);
  const base::Fd accepted = accept_one(back->get()).fd;
  turn_until([&] { return notes.size() == 2; });
  CHECK(notes.back() == std::to_string(port) + ": ");
}

TEST_CASE_METHOD(PoolFixture,
                 "a backend that comes and goes with every session is not told of each") {
  base::Fd gone = listen_on_loopback();
  const std::uint16_t backend_port = port_of(gone);
  gone.reset();
  const auto port = open(backend_port);
  const auto refused = [&] {
    const auto client = net::start_connect(*net::Address::parse_ip("127.0.0.1", port));
    REQUIRE(client);
    wait_for(client->get(), POLLIN);
  };
  const auto started = std::chrono::steady_clock::now();
  for (int i = 0; i < 50; ++i) {
    refused();
    const auto back = net::listen_tcp(*net::Address::parse_ip("127.0.0.1", backend_port), {});
    REQUIRE(back);
    const base::Fd client = connect_to(port);
    const base::Fd accepted = accept_one(back->get()).fd;
  }
  turn_until([&] { return !notes.empty(); });
  control.run_once(false);
  const auto seconds =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - started);
  CHECK(notes.size() <= 2 * (static_cast<std::size_t>(seconds.count()) + 1));
}

TEST_CASE("at the limit of sessions clients wait, and come in when one ends") {
  const bool per_stream = GENERATE(false, true);
  loop::Loop control;
  relay::AdmissionLimits limits;
  (per_stream ? limits.sessions_per_stream : limits.sessions) = 2;
  relay::WorkerPool pool(
      control,
      relay::WorkerPoolOptions{2, {2s, 0ms, {}}, *net::Address::parse_ip("127.0.0.1", 0), limits},
      [](std::uint16_t, core::Reach, const std::string&) {});
  const base::Fd backend = listen_on_loopback();
  const auto open = [&] {
    auto listener = pool.prepare(at(0));
    REQUIRE(listener);
    const std::uint16_t port = port_of(*listener);
    pool.activate(std::move(*listener), stream_at(port, "127.0.0.1", port_of(backend)));
    return port;
  };
  const std::uint16_t port = open();
  std::vector<base::Fd> clients;
  std::vector<base::Fd> sessions;
  for (int i = 0; i < 6; ++i) clients.push_back(connect_to(port));
  sessions.push_back(accept_one(backend.get()).fd);
  sessions.push_back(accept_one(backend.get()).fd);
  pollfd third{backend.get(), POLLIN, 0};
  CHECK(::poll(&third, 1, 100) == 0);  // nobody else comes
  CHECK(pool.sessions() == 2);
  CHECK(pool.counters(port)->refusals >= 1);
  if (per_stream) {
    const base::Fd other = connect_to(open());
    CHECK(accept_one(backend.get()).fd);  // another stream's is let in
  }
  while (clients.size() > 1) {  // each that ends lets in the next
    clients.erase(clients.begin());
    sessions.erase(sessions.begin());
    if (clients.size() > sessions.size()) sessions.push_back(accept_one(backend.get()).fd);
  }
  CHECK(clients.size() == 1);
}

// A pool of one worker with limits, and streams on it.
struct LimitedPool {
  explicit LimitedPool(const relay::AdmissionLimits& limits)
      : pool(control,
             relay::WorkerPoolOptions{
                 1, {2s, 0ms, {}}, *net::Address::parse_ip("127.0.0.1", 0), limits},
             [](std::uint16_t, core::Reach, const std::string&) {}) {}

  std::uint16_t open() {
    auto listener = pool.prepare(at(0));
    REQUIRE(listener);
    const std::uint16_t port = port_of(*listener);
    pool.activate(std::move(*listener), stream_at(port, "127.0.0.1", port_of(backend)));
    return port;
  }
  bool nobody_comes() const {
    pollfd arrival{backend.get(), POLLIN, 0};
    return ::poll(&arrival, 1, 100) == 0;
  }

  loop::Loop control;
  relay::WorkerPool pool;
  base::Fd backend = listen_on_loopback();
};

TEST_CASE("room goes to the stream whose client waits, not to one whose client came before") {
  relay::AdmissionLimits limits;
  limits.sessions = 2;
  LimitedPool limited(limits);
  const auto first = limited.open();
  const auto second = limited.open();
  base::Fd one = connect_to(first);
  base::Fd one_accepted = accept_one(limited.backend.get()).fd;
  base::Fd two = connect_to(first);
  base::Fd two_accepted = accept_one(limited.backend.get()).fd;
  const base::Fd three = connect_to(second);
  CHECK(limited.nobody_comes());
  CHECK(limited.pool.admission().refusals() == 1);
  CHECK(limited.pool.admission().refusals(relay::Room::no_session) == 1);
  CHECK(limited.pool.admission().waiting(relay::Room::no_session) == 1);
  one.reset();
  one_accepted.reset();
  CHECK(accept_one(limited.backend.get()).fd);
  CHECK(limited.pool.admission().waiting(relay::Room::no_session) == 0);
}

TEST_CASE("a listener that is closed waits no more") {
  relay::AdmissionLimits limits;
  limits.sessions_per_stream = 1;
  LimitedPool limited(limits);
  const auto port = limited.open();
  const base::Fd one = connect_to(port);
  const base::Fd one_accepted = accept_one(limited.backend.get()).fd;
  const base::Fd two = connect_to(port);
  CHECK(limited.nobody_comes());
  CHECK(limited.pool.admission().waiting(relay::Room::stream_full) == 1);
  bool is_free = false;
  limited.pool.close(port, 60s, [&] { is_free = true; });
  while (!is_free) limited.control.run_once(true);
  CHECK(limited.pool.admission().waiting(relay::Room::stream_full) == 0);
}

TEST_CASE("room that a full stream has no use for goes to another one") {
  relay::AdmissionLimits limits;
  limits.sessions = 2;
  limits.sessions_per_stream = 1;
  LimitedPool limited(limits);
  const auto full = limited.open();
  const base::Fd one = connect_to(full);
  const base::Fd one_accepted = accept_one(limited.backend.get()).fd;
  base::Fd two = connect_to(limited.open());
  base::Fd two_accepted = accept_one(limited.backend.get()).fd;
  const base::Fd three = connect_to(full);  // waits, before the next one does
  CHECK(limited.nobody_comes());
  const base::Fd four = connect_to(limited.open());
  CHECK(limited.nobody_comes());
  two.reset();
  two_accepted.reset();
  CHECK(accept_one(limited.backend.get()).fd);
}

TEST_CASE("many streams whose clients wait all get their turn") {
  relay::AdmissionLimits limits;
  limits.sessions = 1;
  LimitedPool limited(limits);
  std::vector<base::Fd> clients;
  for (int i = 0; i < 40; ++i) clients.push_back(connect_to(limited.open()));
  for (int i = 0; i < 40; ++i) {
    const base::Fd accepted = accept_one(limited.backend.get()).fd;
    // Whose it is shows at its own end.
    send_all(accepted, "x");
    std::size_t who = clients.size();
    std::vector<pollfd> all;
    for (const base::Fd& client : clients) all.push_back({client.get(), POLLIN, 0});
    REQUIRE(::poll(all.data(), all.size(), 10'000) == 1);
    for (std::size_t each = 0; each < all.size(); ++each)
      if (all[each].revents != 0) who = each;
    clients.erase(clients.begin() + static_cast<std::ptrdiff_t>(who));
  }
  CHECK(clients.empty());
}

TEST_CASE_METHOD(PoolFixture, "sessions are shared among the workers") {
  const auto port = open(port_of(backend));
  std::vector<Pair> pairs;
  for (int i = 0; i < 20; ++i) pairs.push_back(connect(port));
  for (const Pair& pair : pairs) CHECK(talks(pair));
  CHECK(pool.sessions() == 20);
}

TEST_CASE_METHOD(PoolFixture, "a drain waits for sessions to end by themselves") {
  const auto port = open(port_of(backend));
  Pair pair = connect(port);
  CHECK(talks(pair));
  std::optional<std::size_t> cut;
  pool.drain(60s, [&](std::size_t count) { cut = count; });
  CHECK(talks(pair));
  CHECK_FALSE(cut);
  pair.client.reset();
  pair.backend.reset();
  turn_until([&] { return cut.has_value(); });
  CHECK(*cut == 0);
}

TEST_CASE_METHOD(PoolFixture, "a drain that takes too long cuts what is left and says how many") {
  const auto port = open(port_of(backend));
  const Pair pair = connect(port);
  CHECK(talks(pair));
  std::optional<std::size_t> cut;
  pool.drain(20ms, [&](std::size_t count) { cut = count; });
  turn_until([&] { return cut.has_value(); });
  CHECK(*cut == 1);
  wait_for(pair.client.get(), POLLIN);
  CHECK(receive_some(pair.client).reset);
}

TEST_CASE_METHOD(PoolFixture,
                 "every client that is cut at the end of a drain was counted as come") {
  // Clients that one worker gives to another arrive there when its drain is over already.
  const auto port = open(port_of(backend));
  std::vector<base::Fd> clients;
  for (int i = 0; i < 40; ++i) clients.push_back(connect_to(port));
  std::optional<std::size_t> cut;
  pool.drain(0ms, [&](std::size_t count) { cut = count; });
  turn_until([&] { return cut.has_value() && pool.sessions() == 0; });
  const core::Traffic traffic = pool.traffic(port);
  std::uint64_t ended = 0;
  for (const std::uint64_t count : traffic.ended) ended += count;
  CHECK(traffic.sessions_total == traffic.sessions_active + ended);
}

TEST_CASE_METHOD(PoolFixture, "a pool that is destroyed cuts its sessions") {
  std::optional<Pair> pair;
  {
    relay::WorkerPool other(
        control,
        relay::WorkerPoolOptions{1, {2s, 0ms, {}}, *net::Address::parse_ip("127.0.0.1", 0)},
        [](std::uint16_t, core::Reach, const std::string&) {});
    auto listener = other.prepare(at(0));
    const std::uint16_t port = port_of(*listener);
    other.activate(std::move(*listener), stream_at(port, "127.0.0.1", port_of(backend)));
    pair = connect(port);
    CHECK(talks(*pair));
  }
  wait_for(pair->client.get(), POLLIN);
  CHECK(receive_some(pair->client).reset);
}

TEST_CASE("a host without threads for all workers ends those that run, and says so") {
  const int allowed = GENERATE(0, 1, 3);
  FakeHost host;
  loop::Loop control;
  host.refuse_threads_after(1 + allowed);  // the resolver has one
  CHECK_THROWS_WITH(relay::WorkerPool(control, relay::WorkerPoolOptions{4, {}, {}},
                                      [](auto, auto, const auto&) {}),
                    "the host gives no thread for worker " + std::to_string(allowed) +
                        ": Resource temporarily unavailable (EAGAIN)");
  sigset_t blocked{};
  ::pthread_sigmask(SIG_BLOCK, nullptr, &blocked);
  CHECK(::sigismember(&blocked, SIGTERM) == 0);
}

}  // namespace
}  // namespace sc::test
