#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "relay/loop_fixture.h"
#include "relay/tcp_pair.h"
#include "relay/worker_pool.h"
#include "support/catch.h"
#include "support/system_resolver.h"

namespace sc::test {

inline core::StreamSpec at(std::uint16_t port) {
  core::StreamSpec spec;
  spec.port = port;
  return spec;
}

inline core::Stream stream_at(std::uint16_t port, const std::string& host,
                              std::uint16_t backend_port) {
  core::Stream stream;
  stream.spec.port = port;
  stream.spec.backend = {host, backend_port};
  return stream;
}

// Two workers on threads of their own; the test plays the control thread, the clients and the
// backend.
struct PoolFixture : LoopFixture {
  loop::Loop& control = loop;
  std::vector<std::string> notes;
  relay::WorkerPool pool{
      control,
      relay::WorkerPoolOptions{.workers = 2,
                               .session = {std::chrono::seconds(2), {}, {}},
                               .listen_address = *net::Address::parse_ip("127.0.0.1", 0),
                               .resolver = SystemResolver::options()},
      [this](std::uint16_t port, core::Reach, const std::string& trouble) {
        notes.push_back(std::to_string(port) + ": " + trouble);
      }};
  base::Fd backend = listen_on_loopback();

  // A stream on a free port to the given backend port.
  std::uint16_t open(std::uint16_t backend_port) {
    auto listener = pool.prepare(at(0));
    REQUIRE(listener);
    const std::uint16_t port = port_of(*listener);
    pool.activate(std::move(*listener), stream_at(port, "127.0.0.1", backend_port));
    return port;
  }

  void close(std::uint16_t port, std::chrono::milliseconds drain) {
    bool is_free = false;
    pool.close(port, drain, [&] { is_free = true; });
    turn_until([&] { return is_free; });
  }

  core::SessionPage list(const core::SessionQuery& query = {}) {
    std::optional<core::SessionPage> page;
    pool.sessions(query, [&](core::SessionPage told) { page = std::move(told); });
    CHECK_FALSE(page);
    turn_until([&] { return page.has_value(); });
    return *page;
  }

  using Pair = Carried;
  Pair connect(std::uint16_t port) const { return connect_through(port, backend); }
};

}  // namespace sc::test
