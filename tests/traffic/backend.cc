#include "traffic/backend.h"

#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <unordered_map>
#include <utility>

#include "bench/sockets.h"
#include "traffic/session.h"

namespace sc::traffic {
namespace {

constexpr std::chrono::seconds kPatience{5};

class Service final : public bench::Handler {
 public:
  Service(World& world, const sockaddr_in& address, bool banner) : world_(world), banner_(banner) {
    auto listener = bench::listen_on(address);
    if (!listener) throw std::runtime_error(listener.error().message);
    listener_ = *std::move(listener);
    world_.reactor.add(listener_.get(), EPOLLIN, *this);
  }
  ~Service() override { world_.reactor.remove(listener_.get(), *this); }

  std::uint16_t port() const { return bench::port_of(listener_.get()); }

  void on_ready(std::uint32_t /*events*/) override {
    constexpr int kMostAtOnce = 64;
    for (int taken = 0; taken < kMostAtOnce; ++taken) {
      const int fd = ::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) {
        if (errno == EMFILE) throw std::runtime_error("the backend has no descriptors left");
        return;
      }
      bench::set_no_delay(fd);
      const auto number = next_++;
      sessions_[number] = std::make_unique<Session>(world_, base::Fd(fd), banner_,
                                                    [this, number] { sessions_.erase(number); });
    }
  }

  bool has_open() const { return !sessions_.empty(); }

  // Those whose client has not ended them are faults.
  void fail_open() {
    for (const auto& [number, session] : sessions_) session->fail(false, "still open at the end");
  }

 private:
  World& world_;
  bool banner_;
  base::Fd listener_;
  std::uint64_t next_ = 0;
  std::unordered_map<std::uint64_t, std::unique_ptr<Session>> sessions_;
};

sockaddr_in next_port(sockaddr_in address) {
  const unsigned port = ntohs(address.sin_port);
  if (port != 0) address.sin_port = htons(static_cast<std::uint16_t>(port + 1));
  return address;
}

}  // namespace

bool run_backend(const sockaddr_in& listen) {
  World world;
  const bench::InputEnd input(world.reactor);
  Service silent(world, listen, false);
  Service speaker(world, next_port(listen), true);
  std::printf("{\"port\": %u, \"banner_port\": %u}\n", silent.port(), speaker.port());
  std::fflush(stdout);
  while (!input.reached()) world.turn(Clock::now() + std::chrono::seconds(1));
  // What ended a client goes through the service, which may still have to pass its end on.
  const auto until = Clock::now() + kPatience;
  while ((silent.has_open() || speaker.has_open()) && Clock::now() < until) world.turn(until);
  silent.fail_open();
  speaker.fail_open();
  std::puts(world.outcome.text().c_str());
  return world.outcome.bad() == 0;
}

}  // namespace sc::traffic
