#include <cstdint>
#include <future>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "base/log.h"
#include "relay/pool_fixture.h"

namespace sc::test {
namespace {

using namespace std::chrono_literals;

// Holds up the first worker that logs the end of a session, until it is let go.
class HeldUp {
 public:
  HeldUp() {
    base::log::set_sink([this](auto, std::string_view sentence, auto) {
      if (sentence != "session ended" || std::exchange(is_held_, true)) return;
      reached_.set_value();
      gate_.get_future().wait();
    });
  }
  HeldUp(const HeldUp&) = delete;
  HeldUp& operator=(const HeldUp&) = delete;
  ~HeldUp() {
    if (!is_let_go_) gate_.set_value();
    base::log::set_sink({});
  }

  void wait() {
    if (reached_.get_future().wait_for(10s) != std::future_status::ready)
      throw std::runtime_error("no session has ended within 10 s");
  }
  void let_go() {
    is_let_go_ = true;
    gate_.set_value();
  }

 private:
  bool is_held_ = false;    // guarded by the log's lock
  bool is_let_go_ = false;  // the test's thread only
  std::promise<void> reached_;
  std::promise<void> gate_;
};

TEST_CASE_METHOD(PoolFixture,
                 "a client that comes after a change is led by it, however busy its worker was") {
  pool.set_logged_sessions(core::LoggedSessions::all);
  HeldUp held;  // goes before the pool, which waits for its workers
  const base::Fd after = listen_on_loopback();
  const std::uint16_t port = open(port_of(backend));
  {
    const Pair first = connect(port);
    end_writes(first.client);
    end_writes(first.backend);
    held.wait();
  }
  pool.change(stream_at(port, "127.0.0.1", port_of(after)).spec);
  base::Fd client = connect_to(port);
  held.let_go();
  base::Fd accepted = accept_one(after.get()).fd;
  CHECK(talks({std::move(client), std::move(accepted)}));
}

TEST_CASE_METHOD(PoolFixture,
                 "a client of a removed stream ends when the worker that it went to stands still") {
  pool.set_logged_sessions(core::LoggedSessions::all);
  HeldUp held;
  const std::uint16_t busy = open(port_of(backend));  // at the first worker
  const std::uint16_t port = open(port_of(backend));  // at the second one
  {
    const Pair first = connect(busy);
    end_writes(first.client);
    end_writes(first.backend);
    held.wait();
  }
  pool.set_logged_sessions(core::LoggedSessions::none);
  // The second worker sends some to the first, as that one has fewer.
  std::vector<base::Fd> clients;
  std::vector<base::Fd> accepted;
  for (int i = 0; i < 8; ++i) clients.push_back(connect_to(port));
  turn_until([&] { return pool.counters(port)->sessions_admitted == 8; });
  const auto ended = [&] {
    return std::count_if(clients.begin(), clients.end(), [](const base::Fd& client) {
      return net::take_error(client.get()) == ECONNRESET;
    });
  };
  const auto is_removed_at_once = GENERATE(true, false);
  std::ptrdiff_t over = 0;
  close(port, is_removed_at_once ? 0ms : 300ms);
  turn_until([&] { return (over += ended()) > 0; });
  pool.set_still(0, true);
  turn_until([&] { return (over += ended()) == 8; });
  held.let_go();
}

}  // namespace
}  // namespace sc::test
