#include "bench/ping_pong.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bench/exchange.h"
#include "bench/reactor.h"
#include "bench/sockets.h"

namespace sc::bench {
namespace {

constexpr auto kPatience = std::chrono::seconds(10);
constexpr std::uint64_t kSessionStride = 1U << 20;  // of request numbers

struct Run {
  PingPongOptions options;
  Pattern pattern{};
  Reactor reactor{};
  Report report{};
  std::uint64_t exchanges = 0;  // with the first ones
  unsigned waiting = 0;         // sessions with a request under way
  Clock::time_point end{};
  Histogram latencies{};
};

class PingPongSession final : public Handler {
 public:
  PingPongSession(Run& run, base::Fd socket, std::uint64_t number)
      : run_(run),
        socket_(std::move(socket)),
        number_(number * kSessionStride),
        exchange_(run.pattern, run.options.size) {
    run_.reactor.add(socket_.get(), EPOLLIN, *this);
  }
  ~PingPongSession() override {
    if (socket_) run_.reactor.remove(socket_.get(), *this);
  }

  void begin() {
    exchange_.begin(number_++);
    begun_ = Clock::now();
    waits_ = true;
    ++run_.waiting;
    advance();
  }
  bool is_waiting() const { return waits_; }
  bool is_open() const { return bool(socket_); }

  void on_ready(std::uint32_t /*events*/) override {
    if (waits_) return advance();
    fail("a session ended between two requests");
  }

 private:
  void advance() {
    const auto state = exchange_.step(socket_.get());
    if (state == Exchange::State::failed) return fail(exchange_.fault());
    watch(state == Exchange::State::sending ? EPOLLOUT : EPOLLIN);
    if (state != Exchange::State::done) return;
    waits_ = false;
    --run_.waiting;
    ++run_.exchanges;
    const auto now = Clock::now();
    if (now >= run_.end) return;
    run_.latencies.add(now - begun_);
    begin();
  }

  void watch(std::uint32_t events) {
    if (events == watched_) return;
    watched_ = events;
    run_.reactor.change(socket_.get(), events, *this);
  }

  void fail(std::string why) {
    run_.report.fail(std::move(why));
    if (std::exchange(waits_, false)) --run_.waiting;
    run_.reactor.remove(socket_.get(), *this);
    socket_.reset();
  }

  Run& run_;
  base::Fd socket_;
  std::uint64_t number_;
  Exchange exchange_;
  Clock::time_point begun_;
  std::uint32_t watched_ = EPOLLIN;
  bool waits_ = false;
};

// Until every session has its reply.
void wait_for_all(Run& run, Clock::time_point limit) {
  while (run.waiting > 0 && Clock::now() < limit) run.reactor.turn(limit);
}

}  // namespace

Report run_ping_pong(const PingPongOptions& options) {
  Run run{.options = options};
  std::vector<std::unique_ptr<PingPongSession>> sessions;
  for (unsigned number = 0; number < options.sessions; ++number) {
    auto socket = connect_to(options.target, source_address(number), kPatience);
    if (!socket) {
      run.report.fail(socket.error().message);
      return run.report;
    }
    sessions.push_back(
        std::make_unique<PingPongSession>(run, *std::move(socket), std::uint64_t{number}));
    sessions.back()->begin();  // run.end is long over, so it is the only one
  }
  wait_for_all(run, Clock::now() + kPatience);

  const std::chrono::duration<double> length(options.seconds);
  const auto start = Clock::now();
  run.end = start + std::chrono::duration_cast<Clock::duration>(length);
  for (const auto& session : sessions)
    if (session->is_open() && !session->is_waiting()) session->begin();
  wait_for_all(run, run.end + kPatience);

  for (const auto& session : sessions)
    if (session->is_waiting()) run.report.fail("a session had no reply in time");
  run.report.add("sessions", std::uint64_t{options.sessions});
  run.report.add("size", std::uint64_t{options.size});
  run.report.add("exchanges", run.exchanges);
  run.report.add("requests_per_second",
                 static_cast<double>(run.latencies.count()) / options.seconds);
  run.report.add("", run.latencies);
  return run.report;
}

}  // namespace sc::bench
