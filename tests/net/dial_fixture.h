#pragma once

#include <optional>
#include <string>
#include <utility>

#include "net/dialer.h"
#include "support/catch.h"
#include "support/fake_host.h"
#include "support/loop_until.h"
#include "support/system_resolver.h"
#include "support/tcp_peer.h"

namespace sc::test {

// A listener whose backlog is full: the kernel drops further SYNs, so it never answers.
struct SilentListener {
  explicit SilentListener(const std::string& ip = "127.0.0.1", std::uint16_t port = 0)
      : listener(ip, port, 0), only(TcpPeer::connect(listener.port(), ip)) {}
  std::uint16_t port() const { return listener.port(); }

  TcpListener listener;
  TcpPeer only;
};

struct DialFixture {
  DialFixture() { options.resolver = &names.client; }
  void dial(const std::string& to, std::uint16_t port) {
    dialer.emplace(loop, base::HostPort{to, port}, options, [this](net::Dialer::Outcome told) {
      ++calls;
      outcome = std::move(told);
    });
    CHECK(calls == 0);  // never from inside the constructor
  }
  bool finishes() {
    const bool in_time = loop_until(loop, [&] { return calls > 0; });
    turn(loop);
    CHECK(calls <= 1);
    return in_time;
  }
  void check_failed(net::DialFailure failure, const std::string& word) {
    REQUIRE(finishes());
    REQUIRE_FALSE(outcome.dialed);
    CHECK(outcome.error.failure == failure);
    CAPTURE(outcome.error.message);
    CHECK(outcome.error.message.find(word) != std::string::npos);
  }
  std::string dialed_ip() {
    REQUIRE(finishes());
    CAPTURE(outcome.error.message);
    REQUIRE(outcome.dialed);
    return outcome.dialed->address.ip();
  }

  loop::Loop loop;
  FakeHost host;
  SystemResolver names{loop};
  net::DialOptions options;
  int calls = 0;
  net::Dialer::Outcome outcome;
  std::optional<net::Dialer> dialer;
};

}  // namespace sc::test
