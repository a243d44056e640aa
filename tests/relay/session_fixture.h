#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "relay/loop_fixture.h"
#include "relay/session.h"
#include "relay/tcp_pair.h"
#include "support/catch.h"
#include "support/fake_host.h"
#include "support/full_fd_table.h"
#include "support/system_resolver.h"

namespace sc::test {

// client <-> session -> backend; the session is made by start(), and destroyed by its own end
// unless `keep` is set.
struct SessionFixture : LoopFixture {
  FakeHost host;
  SystemResolver names{loop, std::chrono::milliseconds(50)};
  relay::PipePool pipes;
  std::vector<std::byte> buffer{relay::Pump::kBuffer};
  relay::SessionOptions options;
  std::shared_ptr<relay::StreamCounters> counters = std::make_shared<relay::StreamCounters>();
  base::Fd listener = listen_on_loopback();
  base::Fd client;
  std::vector<std::string> dialed;    // each call's trouble
  std::vector<core::Reach> reaches;   // each call's
  std::vector<core::EndReason> ends;  // each call's reason
  std::vector<core::EndedSession> told;
  std::function<void()> at_end = [] {};  // from inside each call
  bool keep = false;
  std::chrono::milliseconds accepted_ago{0};
  bool is_host_full = false;  // no descriptor is left for the way to the backend
  relay::SessionSpec spec{9000, {}, {}, {}};
  std::shared_ptr<net::OwnDial> via;  // by which the client came; null: it is no stream
  std::optional<relay::Session> session;

  void start(const std::string& host_name, std::uint16_t port) {
    TcpPair pair = make_tcp_pair();
    client = std::move(pair.far);
    net::Accepted accepted;
    accepted.peer = net::local_address(client.get());
    accepted.fd = std::move(pair.near);
    accepted.at -= accepted_ago;
    relay::StreamContext stream;
    stream.id = 1;
    spec.backend = {host_name, port};
    options.resolver = &names.client;
    stream.spec = std::make_shared<const relay::SessionSpec>(spec);
    stream.counters = counters;
    std::optional<FullFdTable> full;
    if (is_host_full) full.emplace();
    session.emplace(
        loop, 1, std::move(stream), relay::NewClient{.accepted = std::move(accepted), .via = via},
        options, relay::Pump::Resources{buffer, &pipes}, nullptr,
        [this](core::Reach reach, const std::string& trouble) {
          reaches.push_back(reach);
          dialed.push_back(trouble);
        },
        [this](const relay::SessionEnd& end) {
          ends.push_back(end.reason);
          told.push_back(relay::to_told(end));
          at_end();
          if (!keep) session.reset();
        });
    CHECK(dialed.empty());
    CHECK(ends.empty());
    CHECK(session->state() == relay::Session::State::dialing);
    CHECK(counters->sessions_active == 1);
  }
  void start() { start("127.0.0.1", port_of(listener)); }

  void turn_until_ended() {
    turn_until([&] { return !ends.empty(); });
    REQUIRE(told.size() == 1);
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

}  // namespace sc::test
