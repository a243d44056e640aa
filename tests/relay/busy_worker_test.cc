#include <cstddef>
#include <cstdint>
#include <future>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

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

// A stream whose worker is held up, and has two sessions more than the other one.
struct BusyFixture : PoolFixture {
  BusyFixture() {
    pool.set_logged_sessions(core::LoggedSessions::all);
    for (int i = 0; i < 4; ++i) pairs.push_back(connect(port));
    end(2);  // the one that was moved
    turn_until([&] { return list().sessions.size() == 3; });
    held.emplace();
    end(0);
    held->wait();
  }

  void end(std::size_t i) const {
    end_writes(pairs[i].client);
    end_writes(pairs[i].backend);
  }

  std::uint16_t port = open(port_of(backend));
  std::vector<Pair> pairs;
  std::optional<HeldUp> held;  // goes before the pool, which waits for its workers
};

TEST_CASE_METHOD(BusyFixture,
                 "a client that comes after a change is led by it, however busy its worker was") {
  const base::Fd after = listen_on_loopback();
  pool.change(stream_at(port, "127.0.0.1", port_of(after)).spec);
  base::Fd client = connect_to(port);
  held->let_go();
  base::Fd accepted = accept_one(after.get()).fd;
  CHECK(talks({std::move(client), std::move(accepted)}));
}

// With the other one it could come behind the drain, and run on.
TEST_CASE_METHOD(BusyFixture,
                 "a client that comes while its stream is closed stays with its worker") {
  base::Fd client = connect_to(port);
  bool is_free = false;
  pool.close(port, 10s, [&] { is_free = true; });
  held->let_go();
  const base::Fd accepted = accept_one(backend.get()).fd;
  const core::SessionPage page = list();
  REQUIRE(page.sessions.size() == 3);
  for (const core::RunningSession& session : page.sessions)
    CHECK(relay::Worker::index_of(session.id) == relay::Worker::index_of(page.sessions[0].id));
  client.reset();
  pairs.clear();
  turn_until([&] { return is_free; });
}

}  // namespace
}  // namespace sc::test
