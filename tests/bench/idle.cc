#include "bench/idle.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "bench/exchange.h"
#include "bench/reactor.h"
#include "bench/sockets.h"

namespace sc::bench {
namespace {

constexpr std::size_t kSize = 64;  // bytes of the exchange
constexpr auto kPatience = std::chrono::seconds(10);
constexpr int kPatienceMs = 10000;  // the same for poll(2)

// One exchange on a socket that does not block; the sentence of what went wrong, or nothing.
std::string exchange_once(const Pattern& pattern, int socket, std::uint64_t number) {
  Exchange exchange(pattern, kSize);
  exchange.begin(number);
  auto state = Exchange::State::sending;
  while (state == Exchange::State::sending || state == Exchange::State::receiving) {
    pollfd ready{.fd = socket, .events = POLLIN, .revents = 0};
    if (state == Exchange::State::sending) ready.events = POLLOUT;
    if (::poll(&ready, 1, kPatienceMs) != 1) return "a session had no reply in time";
    state = exchange.step(socket);
  }
  return exchange.fault();
}

bool is_quiet(int socket) {
  char byte = 0;
  return ::recv(socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

}  // namespace

Report run_idle(const IdleOptions& options) {
  Report report;
  const Pattern pattern;
  std::vector<base::Fd> sockets;
  for (unsigned number = 0; number < options.sessions; ++number) {
    auto socket = connect_to(options.target, source_address(number), kPatience);
    if (!socket) {
      report.fail(socket.error().message);
      return report;
    }
    if (auto fault = exchange_once(pattern, socket->get(), number); !fault.empty()) {
      report.fail(std::move(fault));
      return report;
    }
    sockets.push_back(*std::move(socket));
  }
  std::printf("{\"open\": %zu}\n", sockets.size());
  std::fflush(stdout);

  Reactor reactor;
  const InputEnd input(reactor);
  while (!input.reached()) reactor.turn(Clock::now() + std::chrono::seconds(1));
  for (const base::Fd& socket : sockets)
    if (!is_quiet(socket.get())) report.fail("an idle session did not stay open");
  report.add("sessions", std::uint64_t{options.sessions});
  return report;
}

}  // namespace sc::bench
