#include "bench/connect.h"

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
constexpr std::uint64_t kMostFailures = 100;  // then the rest would tell nothing more

struct Run {
  ConnectOptions options;
  Pattern pattern{};
  Reactor reactor{};
  Report report{};
  std::uint64_t started = 0;
  unsigned open = 0;
  Clock::time_point end{};
  Histogram latencies{};
};

// One of the sessions at a time, again and again.
class ConnectSlot final : public Handler {
 public:
  explicit ConnectSlot(Run& run) : run_(run), exchange_(run.pattern, run.options.size) {}
  ~ConnectSlot() override {
    if (socket_) close();
  }
  bool is_open() const { return bool(socket_); }

  void start() {
    begun_ = Clock::now();
    const std::uint64_t number = run_.started++;
    exchange_.begin(number);
    auto socket = start_connect(run_.options.target, source_address(number));
    if (!socket) return run_.report.fail(socket.error().message);
    socket_ = *std::move(socket);
    ++run_.open;
    watched_ = EPOLLOUT;
    run_.reactor.add(socket_.get(), watched_, *this);
  }

  void on_ready(std::uint32_t /*events*/) override {
    const auto state = exchange_.step(socket_.get());  // after a failed connect it says why
    if (state == Exchange::State::sending || state == Exchange::State::receiving)
      return watch(state == Exchange::State::sending ? EPOLLOUT : EPOLLIN);
    const auto now = Clock::now();
    close();
    if (state == Exchange::State::failed)
      run_.report.fail(exchange_.fault());
    else if (now < run_.end)
      run_.latencies.add(now - begun_);
    if (now < run_.end && run_.report.failures() < kMostFailures) start();
  }

 private:
  void watch(std::uint32_t events) {
    if (events == watched_) return;
    watched_ = events;
    run_.reactor.change(socket_.get(), events, *this);
  }

  void close() {
    run_.reactor.remove(socket_.get(), *this);
    socket_.reset();
    --run_.open;
  }

  Run& run_;
  Exchange exchange_;
  base::Fd socket_;
  Clock::time_point begun_;
  std::uint32_t watched_ = 0;
};

}  // namespace

Report run_connect(const ConnectOptions& options) {
  Run run{.options = options};
  run.end = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                               std::chrono::duration<double>(options.seconds));
  std::vector<std::unique_ptr<ConnectSlot>> slots;
  for (unsigned number = 0; number < options.concurrency; ++number) {
    slots.push_back(std::make_unique<ConnectSlot>(run));
    slots.back()->start();
  }
  const auto limit = run.end + kPatience;
  while (run.open > 0 && Clock::now() < limit) run.reactor.turn(limit);
  for (const auto& slot : slots)
    if (slot->is_open()) run.report.fail("a session did not end in time");
  run.report.add("concurrency", std::uint64_t{options.concurrency});
  run.report.add("size", std::uint64_t{options.size});
  run.report.add("started", run.started);
  run.report.add("sessions_per_second",
                 static_cast<double>(run.latencies.count()) / options.seconds);
  run.report.add("", run.latencies);
  return run.report;
}

}  // namespace sc::bench
