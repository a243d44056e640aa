#include "bench/backend.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <functional>
#include <memory>
#include <stdexcept>
#include <unordered_map>
#include <utility>
#include <vector>

#include "bench/reactor.h"
#include "bench/sockets.h"
#include "bench/wire.h"

namespace sc::bench {
namespace {

// One client of the backend; `step` says whether it goes on.
class Peer : public Handler {
 public:
  void on_ready(std::uint32_t events) final {
    const bool goes_on = step(events);
    if (!goes_on) leave_();  // destroys this
  }
  base::Fd socket;

  void attach(Reactor& reactor, base::Fd accepted, std::function<void()> leave) {
    reactor_ = &reactor;
    socket = std::move(accepted);
    leave_ = std::move(leave);
    reactor.add(socket.get(), EPOLLIN, *this);
  }
  ~Peer() override {
    if (socket) reactor_->remove(socket.get(), *this);
  }

 protected:
  virtual bool step(std::uint32_t events) = 0;
  void watch(std::uint32_t events) {
    if (events == watched_) return;
    watched_ = events;
    reactor_->change(socket.get(), events, *this);
  }

 private:
  Reactor* reactor_ = nullptr;
  std::uint32_t watched_ = EPOLLIN;
  std::function<void()> leave_;
};

bool is_over(std::int64_t count) {
  return count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR);
}

class SinkPeer final : public Peer {
 public:
  SinkPeer(const Pattern& pattern, bool verify) : pattern_(pattern), verify_(verify) {}

 private:
  bool step(std::uint32_t /*events*/) override {
    if (left_ == 0) return read_number();
    if (!verify_) return take(discard(socket.get(), left_));
    const auto room = scratch().first(std::min<std::uint64_t>(left_, scratch().size()));
    const auto count = ::recv(socket.get(), room.data(), room.size(), 0);
    if (count > 0 && verdict_.wrong_at == kAllRight)
      verdict_.wrong_at =
          pattern_.find_wrong(verdict_.received, room.first(static_cast<std::size_t>(count)))
              .value_or(kAllRight);
    return take(count);
  }

  bool take(std::int64_t count) {
    if (count <= 0) return !is_over(count);
    left_ -= static_cast<std::uint64_t>(count);
    verdict_.received += static_cast<std::uint64_t>(count);
    return true;
  }

  bool read_number() {
    const auto room = number_.rest();
    const auto count = ::recv(socket.get(), room.data(), room.size(), 0);
    if (count <= 0) return !is_over(count);
    number_.advance(static_cast<std::size_t>(count));
    if (!number_.complete()) return true;
    left_ = number_.value();
    number_.restart();
    if (left_ > 0) return true;
    // 16 bytes into a buffer that nothing was sent from yet.
    return ::send(socket.get(), &verdict_, sizeof verdict_, MSG_NOSIGNAL) ==
           std::int64_t{sizeof verdict_};
  }

  const Pattern& pattern_;
  bool verify_;
  std::uint64_t left_ = 0;  // until the next number
  Piecewise<std::uint64_t> number_;
  Verdict verdict_;
};

class SourcePeer final : public Peer {
 public:
  SourcePeer(const Pattern& pattern, SendMode mode) : pattern_(pattern), mode_(mode) {}

 private:
  bool step(std::uint32_t events) override {
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 && !read_number()) return false;
    if (owed_ > 0) {
      const auto count = pattern_.send(socket.get(), sent_, owed_, mode_);
      if (count < 0 && errno != EAGAIN) return false;
      if (count > 0) {
        sent_ += static_cast<std::uint64_t>(count);
        owed_ -= static_cast<std::uint64_t>(count);
      }
    }
    watch(owed_ > 0 ? EPOLLIN | EPOLLOUT : EPOLLIN);
    return true;
  }

  bool read_number() {
    const auto room = number_.rest();
    const auto count = ::recv(socket.get(), room.data(), room.size(), 0);
    if (count <= 0) return !is_over(count);
    number_.advance(static_cast<std::size_t>(count));
    if (number_.complete()) {
      owed_ += number_.value();
      number_.restart();
    }
    return true;
  }

  const Pattern& pattern_;
  SendMode mode_;
  std::uint64_t owed_ = 0;
  std::uint64_t sent_ = 0;
  Piecewise<std::uint64_t> number_;
};

class EchoPeer final : public Peer {
 private:
  bool step(std::uint32_t /*events*/) override {
    if (rest_.empty()) {
      const auto room = scratch().first(Pattern::kMaxMessage);
      const auto count = ::recv(socket.get(), room.data(), room.size(), 0);
      if (count <= 0) return !is_over(count);
      return give(room.first(static_cast<std::size_t>(count)));
    }
    const auto rest = std::exchange(rest_, {});
    return give(rest);
  }

  bool give(std::span<const std::byte> bytes) {
    const auto count = ::send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count < 0 && errno != EAGAIN) return false;
    const auto unsent = bytes.subspan(static_cast<std::size_t>(std::max<std::int64_t>(0, count)));
    rest_.assign(unsent.begin(), unsent.end());
    watch(rest_.empty() ? EPOLLIN : EPOLLOUT);
    return true;
  }

  std::vector<std::byte> rest_;  // what the socket did not take
};

// One listening socket and its clients.
class Service final : public Handler {
 public:
  Service(Reactor& reactor, const sockaddr_in& address,
          std::function<std::unique_ptr<Peer>()> make_peer)
      : reactor_(reactor), make_peer_(std::move(make_peer)) {
    auto listener = listen_on(address);
    if (!listener) throw std::runtime_error(listener.error().message);
    listener_ = *std::move(listener);
    reactor_.add(listener_.get(), EPOLLIN, *this);
  }
  ~Service() override { reactor_.remove(listener_.get(), *this); }

  std::uint16_t port() const { return port_of(listener_.get()); }

  void on_ready(std::uint32_t /*events*/) override {
    constexpr int kMostAtOnce = 64;
    for (int taken = 0; taken < kMostAtOnce; ++taken) {
      const int fd = ::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) {
        if (errno == EMFILE) throw std::runtime_error("the backend has no descriptors left");
        return;
      }
      set_no_delay(fd);
      auto peer = make_peer_();
      peer->attach(reactor_, base::Fd(fd), [this, fd] { peers_.erase(fd); });
      peers_[fd] = std::move(peer);
    }
  }

 private:
  Reactor& reactor_;
  std::function<std::unique_ptr<Peer>()> make_peer_;
  base::Fd listener_;
  std::unordered_map<int, std::unique_ptr<Peer>> peers_;
};

sockaddr_in following(sockaddr_in address, unsigned distance) {
  const unsigned port = ntohs(address.sin_port);
  if (port != 0) address.sin_port = htons(static_cast<std::uint16_t>(port + distance));
  return address;
}

}  // namespace

void run_backend(const BackendOptions& options) {
  const Pattern pattern;
  Reactor reactor;
  const InputEnd input(reactor);
  const Service sink(reactor, options.listen,
                     [&] { return std::make_unique<SinkPeer>(pattern, options.verify); });
  const Service source(reactor, following(options.listen, 1),
                       [&] { return std::make_unique<SourcePeer>(pattern, options.send); });
  const Service echo(reactor, following(options.listen, 2),
                     [] { return std::make_unique<EchoPeer>(); });
  std::printf(R"({"sink": %u, "source": %u, "echo": %u})"
              "\n",
              sink.port(), source.port(), echo.port());
  std::fflush(stdout);
  while (!input.reached()) reactor.turn(Clock::now() + std::chrono::seconds(1));
}

}  // namespace sc::bench
