#pragma once

#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/pipe.h"
#include "handoff/keeper.h"
#include "handoff/vault.h"
#include "relay/tcp_pair.h"
#include "support/catch.h"
#include "support/fake_fd_store.h"

namespace sc::test {

// As a worker's pool makes them, with something in it.
inline base::Fd make_pipe(std::string_view bytes = {}) {
  base::Fd both = base::open_pipe();
  REQUIRE(both);
  REQUIRE(::write(both.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
  return both;
}

inline std::string bytes_of(const base::Fd& pipe) {
  std::array<char, 4096> bytes{};
  const ssize_t got = ::read(pipe.get(), bytes.data(), bytes.size());
  return got > 0 ? std::string(bytes.data(), static_cast<std::size_t>(got)) : std::string();
}

inline handoff::SessionFacts facts_of(std::uint16_t port) {
  handoff::SessionFacts facts;
  facts.port = port;
  facts.stream_created_at = 1'793'541'780'000;
  facts.started_at = 5'000;
  facts.last_byte_at = 6'000;
  facts.bytes_in = 10;
  facts.bytes_out = 20;
  facts.peer = *net::Address::parse_ip("192.0.2.7", 40'000);
  return facts;
}

// A session's two connections: what the service has of them, and its peers.
struct CarriedSession {
  TcpPair client = make_tcp_pair();
  TcpPair backend = make_tcp_pair();

  std::unique_ptr<handoff::SessionRecord> keep(handoff::Keeper& keeper, std::uint16_t port = 9000) {
    auto record =
        handoff::SessionRecord::make(keeper, facts_of(port), client.near.get(), backend.near.get());
    REQUIRE(record);
    return record;
  }
  // As when the process ends.
  void close() {
    client.near.reset();
    backend.near.reset();
  }
};

// What has come by now is no end.
inline bool is_open(const base::Fd& fd) {
  const Received received = receive_some(fd);
  return !received.ended && !received.reset;
}

inline bool is_reset(const base::Fd& fd) {
  wait_for_hangup(fd.get());
  return receive_some(fd).reset;
}

}  // namespace sc::test
